"""The work of the programs: a request creates four spans, one of them in a thread, and answers with their ids.

Every span is also measured and logged, as `measured.py` and `logged.py` beside this folder say.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import threading
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

tracer = trace.get_tracer("work")
log = logging.getLogger("work")
log.setLevel(logging.INFO)
meter = metrics.get_meter("work")
spans_ended, sizes = meter.create_counter("spans"), meter.create_histogram("sizes")
level = meter.create_up_down_counter("level")
ended_here: dict[int, list[str]] = {}
"""By process: a forked child has its parent's, too."""


def observe(_: CallbackOptions) -> list[Observation]:
    return [Observation(len(ended_here[os.getpid()]))] if os.getpid() in ended_here else []


if "OBSERVES" in os.environ:
    meter.create_observable_counter("observed", [observe])


def measure(name: str) -> None:
    attributes = {"name": name}
    ended_here.setdefault(os.getpid(), []).append(name)
    spans_ended.add(1, attributes)
    sizes.record(3, attributes)
    level.add(5, attributes)
    level.add(-4, attributes)


def answer() -> bytes:
    spans: list[Any] = []

    def step(name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            spans.append(span)
            log.info(name)
        measure(name)

    with tracer.start_as_current_span("request", attributes={"process.pid": os.getpid()}) as request:
        spans.append(request)
        step("before")
        thread = threading.Thread(target=step, args=("in a thread",))
        thread.start()
        thread.join()
        step("after")
        log.info("request")
    measure("request")
    return as_json(spans)


def as_json(spans: list[Any]) -> bytes:
    ids = [(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") for span in spans]
    instance = spans[0].resource.attributes["service.instance.id"]
    return json.dumps({"pid": os.getpid(), "instance": instance, "spans": ids}).encode()


class Busy:
    """Threads that create spans as long as this process runs, so that it forks meanwhile. At exit it writes the ids of
    the ended spans, one line per thread."""

    def __init__(self, threads: int = 4) -> None:
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()
        atexit.register(self._end)  # runs before the provider's own hook, which was registered earlier

    def _work(self) -> None:
        spans = []
        while not self._stop.wait(0.002):
            with tracer.start_as_current_span("busy") as span:
                spans.append(span)
                log.info("busy")
            measure("busy")
        with open(os.environ["BUSY"], "ab", buffering=0) as file:
            file.write(as_json(spans) + b"\n")

    def _end(self) -> None:
        if os.getpid() == self._pid:  # a forked child inherits the hook, but not the threads
            self._stop.set()
            for thread in self._threads:
                thread.join()
