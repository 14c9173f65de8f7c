"""Starts `application.py`, and reads its report."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
# The time for a process to start, and to end after its duration.
SPARE_SECONDS = 60


# By protocol.
TEMPORALITIES = {"http": "delta", "grpc": "cumulative"}


def destination_for(
    receiver: Any,
    *,
    port: int | None = None,
    processor: dict[str, Any] | None = None,
    metrics: bool = False,
    logs: str | None = None,
    **exporter: Any,
) -> Any:
    """A destination for `application.py`: the receiver, or a gate in front of it at another port.

    With `metrics` it also gets a count of its spans; with `logs` a line of each, or lines alone.
    """
    endpoint = receiver.endpoint if port is None else receiver.endpoint.replace(str(receiver.port), str(port))
    settings = {"max_queue_size": 200_000, "schedule_delay_millis": 50, **(processor or {})}
    destination = {"protocol": receiver.protocol, "exporter": {"endpoint": endpoint, **exporter}, "processor": settings}
    if metrics:
        destination["metrics"] = TEMPORALITIES[receiver.protocol]
    if logs:
        destination["logs"] = logs
    return destination


def counted(receiver: Any) -> set[int]:
    """How many spans the application counted, by each of its metrics. A request that is sent again counts once."""
    points: dict[str, dict[Any, int]] = {}
    for metric in receiver.metrics():
        of_metric = points.setdefault(metric.name, {})
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            # A cumulative point takes the place of the one before.
            interval = point.time_unix_nano if TEMPORALITIES[receiver.protocol] == "delta" else 0
            key = (str(point.attributes), point.start_time_unix_nano, interval)
            count = point.as_int if kind == "sum" else point.count
            of_metric[key] = max(of_metric.get(key, 0), count)
    return {sum(of_metric.values()) for of_metric in points.values()}


NOWHERE = {"protocol": "none"}


@dataclass
class Settings:
    """The input of `application.py`."""

    destinations: dict[str, Any]
    seconds: float
    threads: int = 1
    # A pause after this number of spans for each destination, so that a receiver written in Python keeps up.
    burst: int = 10
    pause: float = 0.005
    # The size of an attribute of every span.
    attribute: int = 100
    # The number of large spans for each destination, before the other spans.
    ballast: int = 0
    # What is timed: the whole `operation`, only its `end`, or a `line` of its log.
    timed: str = "operation"
    sample_every: float = 0.02
    flush_every: float = 0
    flush_millis: float = 20_000
    shutdown_millis: float = 1_000
    environment: dict[str, str] = field(default_factory=dict)


class Application:
    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.seconds
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.application"],
            cwd=ROOT,
            env={**os.environ, **settings.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        with self.process.stdin:
            json.dump(asdict(settings), self.process.stdin)
        self.process.stdin = None

    def report(self) -> Any:
        """The report, which the application writes at its end."""
        output, errors = self.process.communicate(timeout=self._seconds + SPARE_SECONDS)
        assert (self.process.returncode, errors) == (0, "")
        return json.loads(output)


@contextlib.contextmanager
def application(settings: Settings) -> Iterator[Application]:
    running = Application(settings)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()
