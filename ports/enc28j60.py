class ENC28J60:
    pass
