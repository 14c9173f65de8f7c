"""Celery's prefork workers with a real Redis: what a task records arrives before its worker ends, without any hook.

Celery's workers end with os._exit inside their loop, so no exit hook runs in them.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from .ended_spans import EndedSpans, everything_received, spans_of
from .program import RUN_ATTRIBUTE
from .slow_relay import slow_relay

PROGRAMS = Path(__file__).parent / "programs"
TASKS = 6


@pytest.mark.parametrize(
    ("configured", "protocol", "tasks_per_child", "load", "temporality"),
    [
        ("import", "grpc", 1, True, "cumulative"),
        ("worker_process_init", "http/protobuf", 1, True, "delta"),
        ("worker_process_init", "grpc", None, False, "cumulative"),
        ("instrumentor", "grpc", None, False, "delta"),
        ("instrumentor", "http/protobuf", 1, False, "cumulative"),
    ],
)
def test_what_tasks_record_arrives_once(
    collector, start_program, redis, tmp_path, configured, protocol, tasks_per_child, load, temporality
):
    ended = EndedSpans(tmp_path)
    with ExitStack() as stack:
        port = stack.enter_context(slow_relay(collector.ports[protocol]))
        environment = {**ended.environment(protocol, port), "REDIS": redis, "CONFIGURED": configured}
        environment["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = temporality
        if load:
            environment["LOAD"] = "1"
        else:
            # Everything waits in the workers until the workers exit.
            delays = ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL")
            environment |= dict.fromkeys(delays, "3600000")
        observes = configured != "import"
        if observes:
            environment |= {"OBSERVES": "1", "HANDLER": "sdk"}
        command = [sys.executable, "-m", "celery", "--workdir", PROGRAMS, "-A", "celery_app", "worker"]
        options = ["--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
        if tasks_per_child:
            options += ["--max-tasks-per-child", str(tasks_per_child)]
        worker = stack.enter_context(start_program(*command, *options, **environment))

        # The program that calls the tasks has the same run id.
        environment |= {"OTEL_RESOURCE_ATTRIBUTES": f"{RUN_ATTRIBUTE}={worker.run}"}
        environment.pop("LOAD", None)
        calls = stack.enter_context(
            start_program(sys.executable, PROGRAMS / "celery_calls.py", str(TASKS), **environment)
        )
        assert calls.process.wait(timeout=60) == 0, calls.output() + worker.output()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(timeout=60) == 0, worker.output()
        ended.assert_received_once(collector, worker)
        received = everything_received(collector, worker)
    observed = frozenset(ended.processes() if observes else ())
    ended.assert_measured(collector, worker, temporality, observed)
    ended.assert_logged(collector, worker)

    children = ended.processes() - {worker.process.pid, calls.process.pid}
    assert len(children) >= (TASKS if tasks_per_child else 1)
    assert [line["inherited"] for line in ended.lines_of("child") if line["inherited"]] == []
    if load:
        (connections,) = ended.lines_of("connections")
        assert connections["before"]
        assert connections["after"] == connections["before"]
    if configured == "instrumentor":
        spans = [span for _, span in spans_of(received)]
        calls_made = {span["spanId"]: span["traceId"] for span in spans if span["name"].startswith("apply_async/")}
        runs = {span["parentSpanId"]: span["traceId"] for span in spans if span["name"].startswith("run/")}
        assert len(runs) == TASKS
        assert runs == calls_made
