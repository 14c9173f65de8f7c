"""examples/celery_redis sends from otel-rs what it sends from the stock SDK: one trace across the queue."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import RUN_ATTRIBUTE, Program, free_port, wait_until
from ..servers import AT_THE_END, SOON
from .arrived import Traces, log_records, log_structure, metric_names, traces_of
from .running import BIN, DISTRO, IMPLEMENTATIONS, INSTRUMENT, example, interrupt, listening

redis_client = pytest.importorskip("redis")
pytest.importorskip("celery")

ORDER = [
    "SERVER POST /orders/<int:number>",
    "PRODUCER apply_async/shop.take_order",
    "CONSUMER run/shop.take_order",
]
CHARGE = [*ORDER, "PRODUCER apply_async/shop.charge", "CONSUMER run/shop.charge"]
SEND = [*ORDER, *2 * ["PRODUCER apply_async/shop.send", "CONSUMER run/shop.send"]]
# The spans of one order, each with its path; the first three of CHARGE are those of SEND.
TREES = [
    " < ".join(reversed(path[:end])) for path, first in ((SEND, 1), (CHARGE, 4)) for end in range(first, len(path) + 1)
]

METRICS = {"flower.task.runtime.seconds", "http.server.active_requests", "http.server.duration"}

IDS = (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID")
HOSTS = (r"gen\d+@", "gen@")
FOLDERS = (r"celery_redis-(stock|otel-rs)", "celery_redis")
DIFFERENT_IN_EACH_RUN = frozenset({"process.parent_pid", "celery.eta"})


class Shop:
    """The two programs of the example, which have the same run id, and their queue."""

    def __init__(self, worker: Program, web: Program, port: int, url: str) -> None:
        self.worker, self.web, self._port, self._url = worker, web, port, url

    def order(self, number: int) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/orders/{number}", data=b"", method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()

    def wait_for_tasks(self, *states: str) -> None:
        """Waits until the tasks have ended in these states."""
        with redis_client.Redis.from_url(self._url) as queue:

            def ended() -> list[str]:
                results = [queue.get(key) for key in queue.keys("celery-task-meta-*")]
                return sorted(json.loads(result)["status"] for result in results if result)

            wait_until(lambda: ended() == sorted(states), lambda: f"{ended()}\n{self.worker.output()}")

    def stop(self) -> None:
        interrupt(self.web)
        self.worker.process.send_signal(signal.SIGTERM)
        assert self.worker.process.wait(timeout=60) == 0, self.worker.output()


@pytest.fixture
def start(collector: Collector, start_program: Callable[..., Any], redis: str, tmp_path: Path) -> Callable[..., Any]:
    """`with start(implementation, **environment) as shop` runs both programs under opentelemetry-instrument."""

    @contextmanager
    def start(implementation: str, **environment: str) -> Iterator[Shop]:
        url = redis.removesuffix("/0") + "/1"  # other tests have their queue in the first database
        with redis_client.Redis.from_url(url) as queue:
            queue.flushdb()
        folder = example("celery_redis", implementation, tmp_path)
        port = free_port()
        environment = {
            **DISTRO[implementation],
            "PORT": str(port),
            "REDIS_URL": url,
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
            "OTEL_BSP_SCHEDULE_DELAY": SOON,
            "OTEL_BLRP_SCHEDULE_DELAY": SOON,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            **environment,
        }
        instrument = ["env", "-C", folder, INSTRUMENT]
        celery = [BIN / "celery", "-A", "shop", "worker", "--concurrency", "2"]
        with start_program(*instrument, *celery, **environment, OTEL_SERVICE_NAME="worker") as worker:
            environment["OTEL_RESOURCE_ATTRIBUTES"] = f"{RUN_ATTRIBUTE}={worker.run}"
            python = [*instrument, BIN / "python", "web.py"]
            with listening(start_program, port, *python, **environment, OTEL_SERVICE_NAME="web") as web:
                yield Shop(worker, web, port, url)

    return start


def test_a_trace_crosses_the_queue(collector: Collector, start: Callable[..., Any]) -> None:
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        with start(implementation) as shop:
            shop.order(1)
            shop.order(13)
            shop.wait_for_tasks(*["SUCCESS"] * 5, "FAILURE")
            traces = traces_of(collector, shop.worker, 2 * len(TREES))
            assert traces.trees() == sorted(2 * TREES)
            assert_processes_and_states(traces, shop)
            # Flask's server has two lines about itself, and one for each request.
            records = log_records(collector, shop.worker, 2 + 4)
            assert_lines_of_tasks(records, traces)
            arrived[implementation] = (
                traces.structure(FOLDERS, HOSTS, IDS, without=DIFFERENT_IN_EACH_RUN),
                metric_names(collector, shop.worker, *METRICS),
                log_structure(records, traces, FOLDERS, HOSTS, IDS, without=DIFFERENT_IN_EACH_RUN),
            )
            for program in (shop.worker, shop.web):
                program.assert_ran_on(implementation)
            shop.stop()
    assert arrived["otel-rs"] == arrived["stock"]
    assert arrived["otel-rs"][1] == METRICS


def assert_processes_and_states(traces: Traces, shop: Shop) -> None:
    services: dict[str, set[int]] = {}
    for span in traces.named("run/shop.send") + traces.named("run/shop.charge"):
        resource = attributes_of(span["resource"])
        services.setdefault(resource["service.name"], set()).add(resource["process.pid"])
    assert set(services) == {"worker"}
    assert shop.worker.process.pid not in services["worker"], "the pool runs the tasks"

    runs = [attributes_of(span) for span in traces.named("run/shop.send")]
    assert sorted(run["celery.state"] for run in runs) == ["RETRY", "RETRY", "SUCCESS", "SUCCESS"]
    reasons = [run["celery.retry.reason"] for run in runs if run["celery.state"] == "RETRY"]
    assert reasons == 2 * ["Retry in 0.1s: CourierBusyError('the courier is busy')"]

    (failed,) = [span for span in traces.named("run/shop.charge") if span["status"].get("code") == 2]
    assert failed["status"]["message"] == "the card was refused"
    assert attributes_of(failed["events"][0])["exception.type"] == "ValueError"


def assert_lines_of_tasks(records: list[dict[str, Any]], traces: Traces) -> None:
    """The pool's log lines are the program's and Celery's, each with the ids of a span."""
    spans = set(traces.ids())
    lines = sorted(
        (record["scope"]["name"], record["body"]["stringValue"].split("[")[0], record.get("spanId") in spans)
        for record in records
        if attributes_of(record["resource"])["service.name"] == "worker"
    )
    assert lines == [("celery.app.trace", "Task shop.charge", True), ("shop", "no money for order 13", True)]


def test_spans_that_wait_arrive_when_the_worker_stops(collector: Collector, start: Callable[..., Any]) -> None:
    with start(
        "otel-rs",
        OTEL_BSP_SCHEDULE_DELAY=AT_THE_END,
        OTEL_METRIC_EXPORT_INTERVAL=AT_THE_END,
        OTEL_BLRP_SCHEDULE_DELAY=AT_THE_END,
    ) as shop:
        shop.order(1)
        shop.wait_for_tasks(*["SUCCESS"] * 3)
        shop.stop()
        assert traces_of(collector, shop.worker, len(TREES)).trees() == sorted(TREES)
