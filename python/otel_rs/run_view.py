"""`otel-rs run --view`: a program, and its traces in the same terminal.

The receiver is in this process and the program in a child, which is started by `otel-rs run`. Traces go to stderr, so
that what the program prints can go elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from otel_rs import _native
from otel_rs.run import correct_propagators
from otel_rs.settings.table import (
    BLRP_SCHEDULE_DELAY,
    BSP_SCHEDULE_DELAY,
    CONFIG_FILE,
    METRIC_EXPORT_INTERVAL,
    OTLP_ENDPOINT,
    SIGNALS,
)

if TYPE_CHECKING:
    from argparse import Namespace

# What says where everything goes; a file may.
_ALL = (CONFIG_FILE.variable, OTLP_ENDPOINT.variable)
_LOOPBACK = "127.0.0.1"
# Shorter than usual, so that traces and their log records are seen soon. The user's own win.
_INTERVALS = {
    BSP_SCHEDULE_DELAY.variable: "500",
    BLRP_SCHEDULE_DELAY.variable: "500",
    METRIC_EXPORT_INTERVAL.variable: "5000",
}

# A terminal sends these to all that run in its foreground.
_FROM_THE_KEYBOARD = ("SIGINT", "SIGQUIT")
_FORWARDED = (*_FROM_THE_KEYBOARD, "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def run_view(command: Sequence[str], filters: Namespace) -> int:
    """Runs the command, shows what it sends, and returns its exit status, or ends by the signal that ended it."""
    elsewhere = next((name for name in _ALL if _is_set(name)), None)
    if elsewhere:
        _tell(f"{elsewhere} says where telemetry goes, so nothing is shown here; unset it to see it")
        status = _Child(command, {}).wait()
    else:
        for name, of in ((OTLP_ENDPOINT.of(of).variable, of) for of in SIGNALS):
            if _is_set(name):
                _tell(f"{name} says where {of} go, so they are not shown here; unset it to see them")
        receiver = _native.TerminalReceiver(filters)
        status = _Child(command, {OTLP_ENDPOINT.variable: f"http://{receiver.address}", **_past_proxies()}).wait()
        if not receiver.stop():
            if any((filters.service, filters.name, filters.min_duration, filters.errors)):
                _tell("nothing that the program sent passes the filters; without them all of it is shown")
            else:
                _tell("the program sent nothing; `otel-rs doctor` helps")
    if status < 0:
        _end_by(-status)
    return status


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _past_proxies() -> dict[str, str]:
    """What keeps requests to loopback from going to a proxy, where there is one."""
    if not any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        return {}
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if exempt.strip() != "*":
        exempt = f"{exempt},{_LOOPBACK}".lstrip(",")
    return {"no_proxy": exempt, "NO_PROXY": exempt}


def _tell(line: str) -> None:
    print(f"otel-rs run: {line}", file=sys.stderr)


class _Child:
    """The program, which gets the signals that this process gets."""

    def __init__(self, command: Sequence[str], variables: dict[str, str]) -> None:
        forwarded = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
        # One that is ignored is ignored by the child, too.
        forwarded = [number for number in forwarded if signal.getsignal(number) is not signal.SIG_IGN]
        self._early: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        for number in forwarded:
            signal.signal(number, self._forward)
        # The child would say what is wrong again.
        correct_propagators()
        environment = {**_INTERVALS, **os.environ, **variables}
        self._process = subprocess.Popen([sys.executable, "-m", "otel_rs", "run", *command], env=environment)
        for number in self._early:
            self._process.send_signal(number)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif not (signal.Signals(number).name in _FROM_THE_KEYBOARD and _is_in_foreground()):
            self._process.send_signal(number)

    def wait(self) -> int:
        """As `subprocess` says it: the exit status, or less than zero for a signal."""
        assert self._process is not None
        return self._process.wait()


def _is_in_foreground() -> bool:
    """Whether Ctrl-C comes to this process and to its child."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _end_by(number: int) -> None:
    """So that whoever started this process sees what the program would have shown."""
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # SIGKILL has no other
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
