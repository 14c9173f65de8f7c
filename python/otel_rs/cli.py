"""The `otel-rs` command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

# `otel-rs run` is a part of the start of a program, so only the other commands import what they need.


_LOOPBACK = "127.0.0.1"
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_RUN_OPTIONS_WITH_A_VALUE = ("--service", "--name", "--min-duration")


def _address(text: str) -> str:
    import argparse

    host, _colon, port = text.rpartition(":")
    if text == "off":
        return text
    if port.isascii() and port.isdecimal() and int(port) <= 65535:
        return f"{host or _LOOPBACK}:{port}"
    raise argparse.ArgumentTypeError(f"{text!r} is neither PORT nor HOST:PORT nor 'off'")


def _port(text: str) -> int:
    import argparse

    if text.isascii() and text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; a FILE goes before --web, or after --web=PORT")


def _width(text: str) -> int:
    import argparse

    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 10_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of columns")


def _duration(text: str) -> int:
    """In nanoseconds."""
    import argparse
    import re

    match = re.fullmatch(r"(\d+|\d*\.\d+)\s*(ns|us|ms|s)?", text, re.ASCII)
    nanoseconds = float(match[1]) * _NANOSECONDS[match[2] or "ms"] if match else float("inf")
    if nanoseconds < 2**63:
        return int(nanoseconds)
    raise argparse.ArgumentTypeError(f"{text!r} is no duration; 250, 250ms and 1.5s are")


def _filters() -> argparse.ArgumentParser:
    """The options that `view` and `run --view` share."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("show only traces with a span that meets all of")
    group.add_argument("--service", metavar="NAME", help="is of this service")
    group.add_argument("--name", metavar="TEXT", help="has a name with this text in it, in any case")
    group.add_argument(
        "--min-duration",
        metavar="TIME",
        type=_duration,
        default=0,
        help="takes at least so long: 250 or 250ms, 1.5s, 100us",
    )
    group.add_argument("--errors", action="store_true", help="has failed")
    return parser


def _parser() -> argparse.ArgumentParser:
    import argparse
    from importlib.metadata import version

    parser = argparse.ArgumentParser(prog="otel-rs", description="OpenTelemetry for Python at native cost.")
    parser.add_argument("--version", action="version", version=f"otel-rs {version('otel-rs')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    view = commands.add_parser(
        "view",
        parents=[_filters()],
        help="receive OTLP and show traces, metrics and logs",
        description=(
            "Receive OTLP over gRPC and HTTP, as a collector does, and show each trace with its log records, other "
            "records, and metrics: in this terminal, or on a page. Point an application at it with "
            "OTEL_EXPORTER_OTLP_ENDPOINT; the default addresses are the ones exporters use by default. Ends on Ctrl-C."
        ),
    )
    view.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="show this file of OTLP/JSON lines, as --json prints them, instead of receiving; - is stdin",
    )
    view.add_argument(
        "--grpc",
        metavar="[HOST:]PORT",
        type=_address,
        help="where to listen for OTLP/gRPC, or 'off'; port 0 takes a free one (default: 127.0.0.1:4317)",
    )
    view.add_argument(
        "--http",
        metavar="[HOST:]PORT",
        type=_address,
        help="where to listen for OTLP/HTTP, or 'off'; port 0 takes a free one (default: 127.0.0.1:4318)",
    )
    shape = view.add_mutually_exclusive_group()
    shape.add_argument(
        "--web",
        metavar="PORT",
        nargs="?",
        type=_port,
        const=4319,
        help="show all on a page of this machine instead; port 0 takes a free one (PORT by default: 4319)",
    )
    shape.add_argument("--json", action="store_true", help="print each request as one line of OTLP/JSON instead")
    shape.add_argument(
        "--width",
        metavar="COLUMNS",
        type=_width,
        help="draw bars and cut lines for so many columns (default: the terminal's; a pipe gets whole lines)",
    )
    view.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help=(
            "a further host name by which clients reach it, as a container's; without it only localhost, loopback "
            "addresses and what it listens on are taken; may be repeated"
        ),
    )
    view.set_defaults(run=_view)

    # Here for the help alone: `main` does not parse what belongs to the program.
    run = commands.add_parser(
        "run",
        parents=[_filters()],
        usage="otel-rs run [--view [FILTER ...]] [-m] PROGRAM [ARGUMENT ...]",
        help="run a program with OpenTelemetry set up, as opentelemetry-instrument does",
        description=(
            "Run a program with OpenTelemetry set up by this package and all installed instrumentations, as "
            "OTEL_PYTHON_DISTRO=rs opentelemetry-instrument does, but with one start of Python instead of two: a "
            "script (app.py), a module (-m package), an installed command (gunicorn app:app) or any other program "
            "that runs Python. Environment variables are the settings; `otel-rs settings` lists them."
        ),
    )
    run.add_argument(
        "--view",
        action="store_true",
        help="receive what the program sends, and show its traces on stderr as `otel-rs view` does",
    )
    run.set_defaults(run=_run, command=[], error=run.error)

    doctor = commands.add_parser(
        "doctor",
        help="say what is set up, what is wrong with it, and whether the receiver takes telemetry",
        description=(
            "Print versions, the distro and configurator that win, every setting that is in force with its source, and "
            "what is wrong with it; send one span, one metric and one log record as a program would, and say what the "
            "receiver answers. Exit status: 0 if there is no problem, else 1."
        ),
    )
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")
    doctor.add_argument("--all", action="store_true", help="print the settings that have their defaults, too")
    doctor.add_argument("--no-send", action="store_true", help="do not send anything")
    doctor.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=5.0,
        help="how long the receiver may take, unless OTEL_EXPORTER_OTLP_TIMEOUT is shorter (default: 5)",
    )
    doctor.set_defaults(run=_doctor)

    settings = commands.add_parser(
        "settings",
        help="print every environment variable, what it accepts and its default",
        description="Print a page of Markdown with every environment variable, what it accepts and its default.",
    )
    settings.set_defaults(run=_settings)
    return parser


def _view(arguments: argparse.Namespace) -> int:
    if sys.stdout is None:  # Closed, as by `>&-`: a socket could get its number.
        print("otel-rs view: stdout is closed: there is nowhere to print to", file=sys.stderr)
        return 1
    if (arguments.json or arguments.web is not None) and _has_filters(arguments):
        print("otel-rs view: --json and --web show everything; the page has filters of its own", file=sys.stderr)
        return 2
    import signal

    from otel_rs import _native

    # As Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _native.view(arguments)
    except (OSError, ValueError) as error:
        print(f"otel-rs view: {error}", file=sys.stderr)
        return 1
    return 0


def _has_filters(arguments: argparse.Namespace) -> bool:
    return any((arguments.service, arguments.name, arguments.min_duration, arguments.errors))


def _run(arguments: argparse.Namespace) -> int:
    """With options: without one, `main` has begun the program."""
    if not arguments.command:
        arguments.error("a program is missing")
    if not arguments.view:
        arguments.error("--service, --name, --min-duration and --errors are for --view")
    from otel_rs.run_view import run_view

    return run_view(arguments.command, arguments)


def _run_options(words: Sequence[str]) -> int:
    """How many of the words are options of `run` itself."""
    count = 0
    while count < len(words) and (words[count].startswith("--") or words[count] == "-h"):
        count += 2 if words[count] in _RUN_OPTIONS_WITH_A_VALUE else 1
    return min(count, len(words))


def _doctor(arguments: argparse.Namespace) -> int:
    from otel_rs.doctor import as_json, as_text, examine

    found = examine(arguments.timeout, sends=not arguments.no_send)
    print(as_json(found) if arguments.json else as_text(found, defaults=arguments.all), end="")
    return 1 if found.problems() else 0


def _settings(_arguments: argparse.Namespace) -> int:
    from otel_rs.settings.page import page

    print(page(), end="")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default the program's arguments) names, and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    command: list[str] = []
    if words[:1] == ["run"]:
        options = 1 + _run_options(words[1:])
        words, command = words[:options], words[options:]
        if options == 1 and command:
            from otel_rs.run import run as run_program

            run_program(command)
    arguments = _parser().parse_args(words)
    if command:
        arguments.command = command
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
