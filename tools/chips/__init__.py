"""Register-level models of SPI Ethernet chips, and the bus that connects a driver to them.

    from chips.bus import SPI, Time
    from chips.w5500 import W5500Model

Plain code without dependencies; runs on CPython and MicroPython, `tools/` on the path.
"""
