"""A server under load: the spans that its requests ended, and those that the Collector received."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .logged import Line, assert_logged
from .measured import assert_measured
from .otelcol import Collector, attributes_of
from .program import Program, accepts_connections, free_port, wait_until

APPS = Path(__file__).with_name("apps")
BIN = Path(sys.executable).parent
CLIENTS = 4

# SOON: a span is exported soon after its end, while others are created. AT_THE_END: it waits until its process exits.
SOON, AT_THE_END = "10", "3600000"

# For the environment: deltas instead of cumulative sums, an observable instrument, and the SDK's handler of `logging`
# instead of that of the instrumentation.
DELTA = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
OBSERVES = {"OBSERVES": "1"}
SDKS_HANDLER = {"HANDLER": "sdk"}

# A server exits within these seconds after its signal, whatever the Collector does. The servers themselves take up to
# 1.5 s, and an answered or refused export takes milliseconds; the rest is for a busy machine.
STOP_SECONDS = 8.0

# Everything was sent before the server exited, and the Collector writes what it received every 50 ms.
QUIET_SECONDS = 3.0


class Server:
    """A running server: its process, its port, and the spans that its own threads ended outside of requests."""

    def __init__(self, program: Program, port: int, busy: Path, environment: dict[str, str]) -> None:
        self.program, self.port, self._busy, self.environment = program, port, busy, environment

    def wait_for(self, condition: Callable[[], Any], what: str = "") -> None:
        wait_until(condition, lambda: f"{what}\n{self.program.output()}")

    def logged(self, text: str) -> int:
        return self.program.output().count(text)

    def send(self, number: int) -> None:
        self.program.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal; asserts that the server exits in time."""
        started = time.monotonic()
        self.send(number)
        self.program.process.wait(timeout=60)
        seconds = time.monotonic() - started
        assert seconds < STOP_SECONDS, f"stopped after {seconds:.1f} s:\n{self.program.output()}"

    def busy(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._busy.read_text().splitlines()] if self._busy.exists() else []


@contextmanager
def serving(
    start_program: Callable[..., Any], folder: Path, command: Callable[[int], list[Any]], **environment: str
) -> Iterator[Server]:
    """Runs the command that `command` returns for a port, and waits until it accepts connections there."""
    port = free_port()
    environment = {
        "PYTHONPATH": str(APPS),
        "HOME": str(folder),  # Gunicorn keeps a socket there
        "BUSY": str(folder / "busy"),
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
        "OTEL_METRIC_EXPORT_INTERVAL": environment.get("OTEL_BSP_SCHEDULE_DELAY", AT_THE_END),
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "cumulative",
        "OTEL_BLRP_SCHEDULE_DELAY": environment.get("OTEL_BSP_SCHEDULE_DELAY", AT_THE_END),
        **environment,
    }
    with start_program(*command(port), **environment) as program:
        server = Server(program, port, folder / "busy", environment)
        server.wait_for(lambda: program.process.poll() is not None or accepts_connections(port), "it does not serve")
        assert program.process.poll() is None, program.output()
        yield server


@contextmanager
def unavailable_collector(what: str) -> Iterator[dict[str, str]]:
    """The environment of a program whose Collector is down, or accepts connections and never answers.

    A process waits for the second kind at exit; here for one second instead of the default of 10 seconds.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if what == "silent":
            listening.listen(128)
        yield {
            "CONFIGURED": "in the application",
            "OTEL_RS_EXIT_TIMEOUT": "1000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listening.getsockname()[1]}",
        }


def assert_stop_does_not_wait(
    what: str, start_program: Callable[..., Any], folder: Path, command: Callable[[int], list[Any]], processes: int
) -> None:
    with unavailable_collector(what) as environment, serving(start_program, folder, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=processes)
        server.stop()


class Load:
    """Client threads that send requests, and keep the bodies of answers with status 200."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self.answers: list[dict[str, Any]] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        while not self._stop.wait(0.005):
            connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                body = response.read()
                if response.status == 200:
                    self.answers.append(json.loads(body))
            except (OSError, http.client.HTTPException):
                pass  # the server restarts or has exited: this request gets no 200
            finally:
                connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def pids(self) -> Counter[int]:
        return Counter(answer["pid"] for answer in list(self.answers))

    def wait_for(self, answers: int = 100, processes: int = 1) -> None:
        """Waits for this number of answers, from at least this number of processes."""
        self._server.wait_for(lambda: len(self.answers) >= answers and len(self.pids()) >= processes, "too few answers")


Received = list[tuple[dict[str, Any], dict[str, Any]]]


def ids_of(span: dict[str, Any]) -> tuple[str, str]:
    return span["traceId"], span["spanId"]


def _wait_for_received(collector: Collector, run: str, expected: set[tuple[str, str]]) -> Received:
    """Waits until all expected spans have arrived, or no more arrive; returns each with its Resource attributes."""
    received: Received = []
    quiet_since = time.monotonic()
    while not expected <= {ids_of(span) for _, span in received} and time.monotonic() - quiet_since < QUIET_SECONDS:
        time.sleep(0.02)
        arrived = [
            (attributes_of(item["resource"]), span)
            for item in collector.resource_spans(run)
            for scope in item["scopeSpans"]
            for span in scope["spans"]
        ]
        if len(arrived) > len(received):
            quiet_since = time.monotonic()
        received = arrived
    return received


def assert_each_span_was_received_once(collector: Collector, server: Server, load: Load) -> None:
    """Asserts that all spans of the requests and the server's own threads arrived once, from the right process."""
    answers = load.answers + server.busy()
    answer_by_ids = {tuple(ids): answer for answer in answers for ids in answer["spans"]}
    assert len(answer_by_ids) == sum(len(answer["spans"]) for answer in answers), "two spans had the same ids"
    traces = {answer["spans"][0][0] for answer in load.answers}
    assert len(traces) == len(load.answers), "two requests had the same trace id"
    received = _wait_for_received(collector, server.program.run, set(answer_by_ids))
    twice = [span_id for span_id, times in Counter(span["spanId"] for _, span in received).items() if times > 1]
    assert not twice, f"{len(twice)} span ids arrived twice"
    resources = {ids_of(span): resource for resource, span in received}
    lost = Counter(answer["pid"] for ids, answer in answer_by_ids.items() if ids not in resources)
    assert not lost, f"of {len(answer_by_ids)} spans these were lost: {lost}\n{server.program.output()}"
    wrong = Counter(
        (resources[ids]["process.pid"], answer["pid"])
        for ids, answer in answer_by_ids.items()
        if (resources[ids]["process.pid"], resources[ids]["service.instance.id"]) != (answer["pid"], answer["instance"])
    )
    assert not wrong, f"the Resource of another process: (sent, true): spans {wrong}"
    instances = {answer["instance"] for answer in answers}
    assert len(instances) == len({answer["pid"] for answer in answers}), "processes share a service.instance.id"


def assert_measured_and_logged(collector: Collector, server: Server, ends_in_c: bool = False) -> None:
    """Asserts of a server that has ended that every process' metrics and log lines agree with its spans to the unit.

    A process that `ends_in_c` does not come to Python's callbacks.
    """
    collector.write_all()
    run = server.program.run
    lines = [
        Line(attributes_of(item["resource"])["process.pid"], span["name"], *ids_of(span))
        for item in collector.resource_spans(run)
        for scope in item["scopeSpans"]
        for span in scope["spans"]
        if scope["scope"]["name"] == "work"
    ]
    ended = Counter((line.pid, line.text) for line in lines)
    temporality = server.environment["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"]
    observed = frozenset(pid for pid, _ in ended) if "OBSERVES" in server.environment and not ends_in_c else frozenset()
    try:
        assert_measured(collector.received(run, "resourceMetrics"), "work", ended, temporality, observed)
        assert_logged(collector.received(run, "resourceLogs"), "work", lines)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{server.program.output()}") from error
