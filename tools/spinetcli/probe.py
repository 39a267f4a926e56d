# Runs on the board, by `spinet doctor`: what the chip says at each SPI clock, then a few seconds of
# network.  The last line that it prints is JSON.
import json
import time

from app import board, config, log

log.printer = lambda text: None
settings = config.load()
top = {"w5500": 33000000, "enc28j60": 20000000}[settings["chip"]]
baudrate = min(settings["spi"]["baudrate"], top)        # as the board's program lowers it
clocks = [hz for hz in (1000000, 4000000, 8000000, 12000000, 16000000, 20000000, 26000000, 33000000)
          if hz <= top]
if baudrate not in clocks:
    clocks.append(baudrate)
found = {"chip": settings["chip"], "pins": settings["pins"], "baudrate": baudrate, "why": "",
         "clocks": [], "link": False, "rx": 0, "wakes": 0, "irq": settings["pins"]["irq"],
         "address": ""}
for hz in clocks:
    bus = settings["spi"].copy()
    bus["baudrate"] = hz
    fine = True
    for _ in range(3):
        try:
            port = board.open_port(dict(settings, spi=bus))
            port.close()
        except (OSError, ValueError, TypeError) as error:
            fine = False
            found["why"] = str(error)
            break
    found["clocks"].append((hz, fine))
try:
    port = board.open_port(settings)
except (OSError, ValueError, TypeError):
    port = None
if port is not None:
    wakes = [0]

    def wake(pin):
        wakes[0] += 1

    nic = board.activate(port, settings)
    port.wake = wake
    until = time.time() + 8
    while time.time() < until and not (nic.isconnected() and port.count["rx"]):
        nic.stack.idle(20)
    found["link"] = bool(nic.status("link"))
    found["rx"] = port.count["rx"]
    found["wakes"] = wakes[0]
    if nic.isconnected():
        found["address"] = nic.ipconfig("addr4")[0]
    nic.deinit()
print(json.dumps(found))
