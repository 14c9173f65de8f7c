"""A variant of an application in a process that does requests when it is told to."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from variants import Variant

HERE = Path(__file__).parent
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
DEADLINE_SECONDS = 600
# `make bench-packages` makes it.
PACKAGES = HERE.parent.parent / ".cache" / "benches"
APPLICATIONS = {
    "flask": "flask_shop",
    "django": "django_shop",
    "fastapi": "fastapi_shop",
    "celery": "celery_shop",
}
# The development environment has more instrumentations than an application's own would; each imports its library.
OWN = {"flask": {"flask"}, "django": {"django"}, "fastapi": {"fastapi", "starlette"}, "celery": {"celery"}}
UNUSED = {"grpc_aio_client", "grpc_aio_server", "grpc_client", "grpc_server", "redis", "sqlalchemy"}
# Django's instrumentation needs them before the program starts.
SETTINGS = {"django": {"DJANGO_SETTINGS_MODULE": "django_settings"}}


def environment(application: str) -> dict[str, str]:
    """Ours, without a configuration of OpenTelemetry, and with byte code kept as for an installed package."""
    left_out = ("OTEL_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    if not PACKAGES.is_dir():
        raise SystemExit("the instrumentations are not installed: make bench-packages")
    path = [str(HERE), str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    added = {"PYTHONPATH": os.pathsep.join(path), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    disabled = UNUSED.union(*OWN.values()) - OWN[application]
    added["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = ",".join(sorted(disabled))
    return {**kept, **added, **SETTINGS.get(application, {})}


def command(variant: Variant, *program: str) -> list[str]:
    return list(program) if variant.sdk == "none" else [str(INSTRUMENT), *program]


class Child:
    """Asks the worker in its process."""

    def __init__(
        self, variant: Variant, application: str, environment: dict[str, str], log: Path, tool: Sequence[str] = ()
    ) -> None:
        self.variant = variant
        self.requests = 0
        self.latencies: list[int] = []
        self._log = log
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                command(variant, *tool, sys.executable, str(HERE / "worker.py"), APPLICATIONS[application]),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, words: str) -> Any:
        try:
            self._process.stdin.write(f"{words}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        # One line for each question, so none is waiting in the file's buffer.
        if not select.select([self._process.stdout], [], [], DEADLINE_SECONDS)[0]:
            raise SystemExit(f"{self.variant.name} has not answered in {DEADLINE_SECONDS} s:\n{self._log.read_text()}")
        if line := self._process.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"{self.variant.name} ended with {self._process.wait()}:\n{self._log.read_text()}")

    def do(self, count: int) -> Any:
        self.requests += count
        return self.ask(str(count))

    def flush(self) -> int:
        """The CPU of its process, once all is sent."""
        return self.ask("flush")

    def collect(self) -> int:
        """The CPU of one collection of the metrics."""
        return self.ask("collect")

    def end(self) -> None:
        """At its end it sends what it still has."""
        self._process.stdin.close()
        if self._process.wait(60) != 0:
            raise SystemExit(f"{self.variant.name} ended with {self._process.returncode}:\n{self._log.read_text()}")

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
