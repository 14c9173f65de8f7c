"""The `otel-rs` command."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

from otel_rs import _native
from otel_rs.settings.page import page


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if text == "off" or (host and colon and port.isdecimal() and int(port) <= 65535):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither HOST:PORT nor 'off'")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otel-rs", description="OpenTelemetry for Python at native cost.")
    parser.add_argument("--version", action="version", version=f"otel-rs {_native.__version__}")
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
    # As Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _native.view(arguments.grpc, arguments.http, arguments.json, arguments.allow_host)
    except (OSError, ValueError) as error:
        print(f"otel-rs view: {error}", file=sys.stderr)
        return 1
    return 0


def _settings(_arguments: argparse.Namespace) -> int:
    print(page(), end="")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default the program's arguments) names, and return its exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
