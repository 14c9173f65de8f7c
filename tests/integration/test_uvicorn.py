"""Under uvicorn with several workers, no span, measurement or log line is lost, sent twice or sent with another
worker's resource."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .otelcol import Collector
from .servers import (
    AT_THE_END,
    BIN,
    DELTA,
    OBSERVES,
    SDKS_HANDLER,
    SOON,
    Load,
    assert_each_span_was_received_once,
    assert_measured_and_logged,
    assert_stop_does_not_wait,
    serving,
)

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
pytest.importorskip("opentelemetry.instrumentation.fastapi")

TWO_WORKERS = ("--workers", "2")


def uvicorn(*options: str) -> Callable[[int], list[Any]]:
    return lambda port: [BIN / "uvicorn", "--port", str(port), "--no-access-log", *options, "asgi:app"]


def environment_for(collector: Collector, delay: str) -> dict[str, str]:
    return {
        "CONFIGURED": "in the application",
        "OTEL_BSP_SCHEDULE_DELAY": delay,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
    }


@pytest.mark.parametrize("configured", ["in the application", "by opentelemetry-instrument"])
@pytest.mark.parametrize("options", [(), TWO_WORKERS], ids=["", "two workers"])
def test_everything_is_delivered_while_it_runs(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], configured: str
) -> None:
    instrument = [BIN / "opentelemetry-instrument"] if configured == "by opentelemetry-instrument" else []
    environment = {**environment_for(collector, SOON), "CONFIGURED": configured, "OTEL_PYTHON_DISTRO": "rs"}
    environment |= OBSERVES if options else DELTA

    def command(port: int) -> list[Any]:
        return [*instrument, *uvicorn(*options)(port)]

    with serving(start_program, tmp_path, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=2 if options else 1)
        assert_each_span_was_received_once(collector, server, load)
        server.program.assert_ran_on("otel_rs")
        server.wait_for(
            lambda: collector_has(collector, server.program.run, "GET /") >= len(load.answers),
            "FastAPI's instrumentation makes a span of each request",
        )
        server.stop()
        assert_measured_and_logged(collector, server)


def collector_has(collector: Collector, run: str, name: str) -> int:
    return sum(
        span["name"] == name
        for item in collector.resource_spans(run)
        for scope in item["scopeSpans"]
        for span in scope["spans"]
    )


@pytest.mark.parametrize(
    ("options", "number"),
    # uvicorn restores the previous handlers and raises SIGTERM again, also in each worker.
    [((), signal.SIGINT), ((), signal.SIGTERM), (TWO_WORKERS, signal.SIGTERM)],
    ids=["SIGINT", "SIGTERM", "SIGTERM-two workers"],
)
def test_everything_is_delivered_when_it_stops(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], number: int
) -> None:
    telemetry = OBSERVES | (DELTA if number == signal.SIGTERM else SDKS_HANDLER)
    environment = environment_for(collector, AT_THE_END) | telemetry
    with serving(start_program, tmp_path, uvicorn(*options), **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=2 if options else 1)
            server.stop(number)
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


def test_everything_is_delivered_on_sigterm_when_the_application_flushes(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path
) -> None:
    environment = {**environment_for(collector, AT_THE_END), "FLUSH_AT_SHUTDOWN": "1"}
    with serving(start_program, tmp_path, uvicorn(*TWO_WORKERS), **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=2)
            server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


def test_everything_is_delivered_when_it_has_answered_its_number_of_requests(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path
) -> None:
    environment = environment_for(collector, AT_THE_END)
    with serving(start_program, tmp_path, uvicorn("--limit-max-requests", "100"), **environment) as server:
        with Load(server) as load:
            server.wait_for(lambda: server.program.process.poll() is not None, "it goes on")
        assert len(load.answers) >= 90, "the other requests may have met the restart"
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("what", ["down", "silent"])
def test_a_stop_does_not_wait_for_a_collector_that_does_not_answer(
    start_program: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    command = uvicorn(*TWO_WORKERS)
    assert_stop_does_not_wait(what, start_program, tmp_path, command, 2)
