"""A certificate for tests, made by openssl."""
import ssl
import subprocess


def make(folder, *addresses):
    """Write `key`, `ca.pem`, `ca.der` and `both.pem` of "board.test" and `addresses` to `folder`.

    FileNotFoundError where there is no openssl.
    """
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=board.test", "-addext",
         "subjectAltName=DNS:board.test" + "".join(",IP:" + one for one in addresses),
         "-keyout", folder / "key", "-out", folder / "ca.pem"], capture_output=True)
    assert made.returncode == 0, made.stderr
    text = (folder / "ca.pem").read_text()
    (folder / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(text))
    (folder / "both.pem").write_text(text + (folder / "key").read_text())
