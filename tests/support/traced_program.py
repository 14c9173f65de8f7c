"""Runs a program that creates spans in its own process; returns its exit code, its end time and its output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .receiver import DEADLINE_SECONDS, Receiver, wait_until

# Definitions for the programs. Spans are exported only by a flush, or at exit.
PRELUDE = """
import atexit, gc, json, os, signal, sys, threading, time, weakref
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from otel_rs import BatchSpanProcessor, TracerProvider
if os.environ["TEST_PROTOCOL"] == "grpc":
    from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
else:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

def batching(**settings):
    settings = {"schedule_delay_millis": 3_600_000, "max_queue_size": 200_000, **settings}
    return BatchSpanProcessor(OTLPSpanExporter(), **settings)

def provider_of(*processors, **arguments):
    made = TracerProvider(**{"resource": Resource({}), **arguments})
    for processor in processors:
        made.add_span_processor(processor)
    return made

def end_spans(provider, name, count=1):
    for _ in range(count):
        provider.get_tracer("test").start_span(name).end()

def tell(**facts):
    # A single write, because threads and signal handlers call it, too.
    os.write(1, json.dumps(facts).encode() + b"\\n")

"""


def destination(endpoint: Receiver | str, protocol: str = "http") -> dict[str, str]:
    """The environment of a program that sends its spans to the endpoint."""
    if isinstance(endpoint, Receiver):
        endpoint, protocol = endpoint.endpoint, endpoint.protocol
    return {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "TEST_PROTOCOL": protocol}


@dataclass
class Ended:
    code: int
    all_facts: list[dict[str, Any]]
    stderr: str
    # By `time.monotonic`, which has the same clock in the program.
    at: float

    def fact(self, name: str) -> Any:
        """The last value that the program told under this name."""
        return [facts[name] for facts in self.all_facts if name in facts][-1]


def _read(pipe: Any, lines: list[bytes], closed: list[float]) -> None:
    for line in pipe:
        lines.append(line)
    closed.append(time.monotonic())


class TracedProgram:
    """`with TracedProgram(...) as program` runs the program, and kills it at the end of the block."""

    def __init__(self, program: str, prelude: str = PRELUDE, options: tuple[str, ...] = (), **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        self.process = subprocess.Popen(
            [sys.executable, *options, "-c", prelude + textwrap.dedent(program)],
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._lines: list[bytes] = []
        self._stderr: list[bytes] = []
        # The time when each pipe closed; the last one is the program's end.
        self._closed: list[float] = []
        self._readers = [
            threading.Thread(target=_read, args=(pipe, lines, self._closed), daemon=True)
            for lines, pipe in ((self._lines, self.process.stdout), (self._stderr, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> TracedProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(DEADLINE_SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()

    def all_facts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self._lines)]

    def wait_for(self, name: str) -> Any:
        """Waits until the program tells a value under this name; returns it."""

        def all_facts() -> list[Any]:
            ended = self.process.poll() is not None
            values = [facts[name] for facts in self.all_facts() if name in facts]
            assert values or not ended, b"".join(self._stderr).decode()
            return values

        return wait_until(all_facts, f"the program tells {name!r}")[-1]

    def end(self, seconds: float = DEADLINE_SECONDS) -> Ended:
        """Waits for the program's end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            stderr = b"".join(self._stderr).decode()
            raise AssertionError(
                f"still running after {seconds} s: {self.all_facts()[-5:]}\n{stderr[-5000:]}"
            ) from None
        for reader in self._readers:
            reader.join(DEADLINE_SECONDS)
        return Ended(code, self.all_facts(), b"".join(self._stderr).decode(), max(self._closed))


def run(program: str, seconds: float = DEADLINE_SECONDS, **arguments: Any) -> Ended:
    with TracedProgram(program, **arguments) as running:
        return running.end(seconds)


def names(receiver: Receiver) -> Counter[str]:
    return Counter(span.name for span in receiver.spans())
