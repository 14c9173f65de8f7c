"""Runs a program in its own process, and waits for conditions."""

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

DEADLINE_SECONDS = 30

# A test finds its own spans in the Collector's file by this resource attribute.
RUN_ATTRIBUTE = "test.run"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], Any], failure: Callable[[], str]) -> Any:
    """Waits for the first true value of `condition`; at the deadline fails the test with the text of `failure`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {DEADLINE_SECONDS} s: {failure()}")
        time.sleep(0.02)
    return value


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)


class Program:
    """A Python program, run as a user runs it, without the OpenTelemetry configuration of this process."""

    def __init__(self, command: Sequence[str | Path], environment: dict[str, str], output: Path) -> None:
        self.run = uuid.uuid4().hex
        self._output = output
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        environment = {
            **inherited,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "OTEL_RESOURCE_ATTRIBUTES": f"{RUN_ATTRIBUTE}={self.run}",
            # It imports grpc in every program, whoever exports.
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "grpc_aio_client,grpc_aio_server,grpc_client,grpc_server,redis",
            # Python writes the name of every imported module to stderr.
            "PYTHONPROFILEIMPORTTIME": "1",
            **environment,
        }
        with output.open("w") as file:
            self.process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)

    def output(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("import time:"))

    def imported(self, module: str) -> bool:
        """Whether the program has imported the module so far."""
        lines = self._output.read_text(errors="replace").splitlines()
        return any(line.startswith("import time:") and line.rpartition("|")[2].strip() == module for line in lines)

    def assert_ran_on(self, implementation: str) -> None:
        """Asserts that this implementation created the spans, and that otel-rs imported no stock exporter."""
        if implementation == "stock":
            assert not self.imported("otel_rs._native")
        else:
            assert self.imported("otel_rs._native"), self.output()
            # Each stock exporter imports the last; a program's own imports load the packages above it.
            for module in ("grpc", "google.protobuf", "opentelemetry.exporter.otlp.proto.common"):
                assert not self.imported(module), f"{module} was imported"
