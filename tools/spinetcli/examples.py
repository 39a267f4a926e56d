"""What `spinet COMMAND --help` shows below the options: examples, and what comes next."""

EXAMPLES = {
    "ports": """\
examples:
  spinet ports                              a table: port, VID:PID, serial number, maker
  spinet ports --json                       the same for a program

A board has the same serial number at every port: --port E660583883724A32 finds it
wherever it is plugged in.
""",
    "install": """\
examples:
  spinet install                            all of it, to the only board that is plugged in
  spinet install --mpy                      compiled here: what a Pico needs
  spinet install --port COM5 --part www     the pages only, to the board at COM5

The board must run MicroPython. Was it cut off? Do it again: it goes on where it stopped.
Next: spinet configure
""",
    "configure": """\
examples:
  spinet configure                          asks for all that it must know
  spinet configure board=pico-w5500 hostname=door-1
  spinet configure address=192.168.1.20/24 gateway=192.168.1.1 dns=192.168.1.1
  spinet configure address=dhcp gateway=
  spinet configure services.http=8080 services.echo=off pins.irq=-1

What is wrong is refused before anything is changed. Ctrl-C before "saved" leaves the board as
it was. The names of all settings: `get` at the console.
""",
    "status": """\
examples:
  spinet status                             address, link, lease, services, troubles
  spinet status --quiet                     nothing but the exit status: 0 if it is on the network
  spinet status --json --port /dev/ttyACM1
""",
    "doctor": """\
examples:
  spinet doctor                             `ok` and `FIX` lines, in the order in which to fix
  spinet doctor --json                      with a name for each fault
  spinet doctor --try-pins 2,3,4,5          nobody answers: is chip select at one of these?

Takes up to fifteen seconds, in which the board's own program does not run.
""",
    "console": """\
examples:
  spinet console                            Ctrl-] leaves; `help` says what there is
  spinet console --port COM12

Tab completes, the arrows recall, Ctrl-C on an empty line leads to the MicroPython prompt.
""",
    "capture": """\
examples:
  spinet capture frames.pcap                until Ctrl-C
  spinet capture frames.pcap --count 100 --seconds 60
  spinet capture - | wireshark -k -i -      live
  spinet capture - | tcpdump -n -r -

The serial line is slower than the cable: what is lost is counted and said at the end.
""",
    "provision": """\
examples:
  spinet provision doors.csv
  spinet provision doors.csv --report report.csv
  spinet provision doors.toml --again

doors.csv, a row for each board, or in TOML a [[board]] for each:

  port,id,hostname,address,gateway,board
  /dev/ttyACM0,,door-1,192.168.1.21/24,192.168.1.1,w5500-evb-pico
  E660583883724A32,,door-2,192.168.1.22/24,192.168.1.1,w5500-evb-pico

`port` is a port, or a serial number that `spinet ports` shows; `id`, where it is given, must be
the unique id of the board there (`show board` at its console); `login` is the present password
of its console; all others are settings. The list is checked as a whole before any board is
touched. Was it cut off? Do it again: boards that work are in doors.csv.done and left alone.
""",
}
