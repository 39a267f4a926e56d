"""spinet: boards on a serial line, from the host.

    spinet ports                    what is plugged in
    spinet install                  put spinet on a board that runs MicroPython
    spinet configure                ask, check, save, and show that it works
    spinet status                   how a board is doing
    spinet doctor                   what is wrong with the wiring, and what to do about it
    spinet console                  its console, here (Ctrl-] leaves)
    spinet capture FILE             what passes its cable, for Wireshark ("-": standard output)
    spinet provision LIST           many boards, from a CSV or TOML file

exit status: 0 all is well, 1 the board says no or is not well, 2 the command line is wrong,
3 no board answers
"""
import argparse
import pathlib
import sys
import textwrap

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from spinetcli import deploy, doctor, examples, live, provision, setup  # noqa: E402
from spinetcli.link import NoBoard, Refused, ports  # noqa: E402
from spinetcli.out import Out  # noqa: E402


def list_ports(options, out):
    out.result = found = ports()
    if not found:
        out.say("no serial port on USB. Is the cable one for data, not for charging only?")
        return 3
    out.table(found, ("port", "id", "serial", "maker", "about"))
    return 0


def numbers(text):
    """[5, 6] of "5,6"."""
    return [int(word) for word in text.split(",")]


def parser():
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--port", "-p", help="the serial port: /dev/ttyACM0, /dev/cu.usbmodem1101, "
                        "COM5, or a serial number or VID:PID that `spinet ports` shows; not needed "
                        "where there is one board")
    common.add_argument("--password", help="of the board's console")
    common.add_argument("--json", action="store_true", help="print one JSON document")
    common.add_argument("--plain", "--no-color", action="store_true",
                        help="no colours (also: NO_COLOR=1)")
    common.add_argument("--quiet", "-q", action="store_true",
                        help="print errors only, and no progress bar")
    top = argparse.ArgumentParser(
        prog="spinet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name, function, about):
        sub = commands.add_parser(
            name, parents=[common], help=about, description="\n".join(textwrap.wrap(about, 90)),
            epilog=examples.EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.set_defaults(function=function)
        return sub

    command("ports", list_ports, "list the serial ports that boards may be on")
    sub = command("install", deploy.install,
                  "copy spinet, its program, board profiles and pages to a board; files that are "
                  "there already are left alone, so that it may be run again")
    sub.add_argument("--part", action="append", choices=sorted(deploy.PARTS),
                     help="only this part; may be given several times")
    sub.add_argument("--mpy", action="store_true", help="compile stack and program for the "
                     "board's processor first, which saves a small board from doing so")
    sub.add_argument("--from", dest="archive", metavar="ARCHIVE",
                     help="take it all from an archive that `make dist` wrote, compiled already")
    sub = command("configure", setup.configure,
                  "ask for what the board must know, check it, save it, and ping the gateway")
    sub.add_argument("settings", nargs="*", metavar="NAME=VALUE",
                     help="settings to make without asking, such as board=pico-w5500 "
                     "address=192.168.1.20/24 gateway=192.168.1.1")
    command("status", live.status, "show address, link, lease, services and what went wrong")
    sub = command("doctor", doctor.doctor,
            "look for faults of wiring: chip, link, SPI clock, interrupt; the board's program "
            "is ended for it and started again")
    sub.add_argument("--try-pins", type=numbers, default=[], metavar="N,N", help="pins to try as "
                     "chip select where nobody answers; what is on them is driven for a moment")
    command("console", live.console, "the board's console, in this terminal; Ctrl-] leaves")
    sub = command("capture", live.capture,
                  "record frames: `spinet capture - | wireshark -k -i -`")
    sub.add_argument("file", help='a pcap file to write, "-" for standard output')
    sub.add_argument("--count", type=int, default=live.MANY, help="stop after so many frames")
    sub.add_argument("--seconds", type=int, default=86400, help="stop after so long")
    sub = command("provision", provision.provision,
                  "set up many boards: a row (CSV) or table (TOML) for each, its settings by "
                  "name; `port` says where it is. What is done is noted in LIST.done, and not "
                  "done again")
    sub.add_argument("list", help="a .csv or .toml file")
    sub.add_argument("--report", metavar="FILE", help="write what became of each board, a .csv or "
                     ".json file, after each of them")
    sub.add_argument("--again", action="store_true", help="also those that are done")
    return top


def main(argv=None):
    """Run; the exit status."""
    options = parser().parse_args(argv)
    if options.command is None:
        parser().print_help(sys.stderr)
        return 2
    out = Out(options.json, options.plain, options.quiet)
    try:
        status = options.function(options, out)
    except NoBoard as error:
        out.error(str(error))
        status = 3
    except Refused as error:
        out.error(str(error))
        status = 1
    except (OSError, ValueError) as error:
        out.error(str(error))
        status = 2 if isinstance(error, ValueError) else 3
    except KeyboardInterrupt:
        out.error("interrupted")
        status = 130
    out.finish()
    return status


if __name__ == "__main__":
    sys.exit(main())
