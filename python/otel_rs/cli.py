"""The `otel-rs` command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

# `otel-rs run` is a part of the start of a program, so only the other commands import what they need.


def _address(text: str) -> str:
    import argparse

    host, colon, port = text.rpartition(":")
    if text == "off" or (host and colon and port.isdecimal() and int(port) <= 65535):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither HOST:PORT nor 'off'")


def _parser() -> argparse.ArgumentParser:
    import argparse
    from importlib.metadata import version

    parser = argparse.ArgumentParser(prog="otel-rs", description="OpenTelemetry for Python at native cost.")
    parser.add_argument("--version", action="version", version=f"otel-rs {version('otel-rs')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    view = commands.add_parser(
        "view",
        help="receive OTLP and print each trace as a tree",
        description=(
            "Receive OTLP over gRPC and HTTP, as a collector does, and print each trace as a tree, and metrics and "
            "logs in short. Point an application at it with OTEL_EXPORTER_OTLP_ENDPOINT; the default addresses are "
            "the ones exporters use by default. Ends on Ctrl-C."
        ),
    )
    view.add_argument(
        "--grpc",
        metavar="HOST:PORT",
        type=_address,
        help="where to listen for OTLP/gRPC, or 'off'; port 0 takes a free one (default: 127.0.0.1:4317)",
    )
    view.add_argument(
        "--http",
        metavar="HOST:PORT",
        type=_address,
        help="where to listen for OTLP/HTTP, or 'off'; port 0 takes a free one (default: 127.0.0.1:4318)",
    )
    view.add_argument("--json", action="store_true", help="print each request as one line of OTLP/JSON instead")
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
        usage="otel-rs run [-m] PROGRAM [ARGUMENT ...]",
        help="run a program with OpenTelemetry set up, as opentelemetry-instrument does",
        description=(
            "Run a program with OpenTelemetry set up by this package and all installed instrumentations, as "
            "OTEL_PYTHON_DISTRO=rs opentelemetry-instrument does, but with one start of Python instead of two: a "
            "script (app.py), a module (-m package), an installed command (gunicorn app:app) or any other program "
            "that runs Python. Environment variables are the settings; `otel-rs settings` lists them."
        ),
    )
    run.set_defaults(run=lambda _: run.error("a program is missing"))

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
    import signal

    from otel_rs import _native

    # As Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _native.view(arguments.grpc, arguments.http, arguments.json, arguments.allow_host)
    except (OSError, ValueError) as error:
        print(f"otel-rs view: {error}", file=sys.stderr)
        return 1
    return 0


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
    if words[:1] == ["run"] and words[1:2] not in ([], ["-h"], ["--help"]):
        from otel_rs.run import run as run_program

        run_program(words[1:])
    arguments = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
