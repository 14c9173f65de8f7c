"""Under Gunicorn no span, measurement or log line is lost, sent twice or sent with another worker's resource, wherever
telemetry is set up."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .otelcol import Collector
from .servers import (
    APPS,
    AT_THE_END,
    BIN,
    DELTA,
    OBSERVES,
    SDKS_HANDLER,
    SOON,
    Load,
    Server,
    assert_each_span_was_received_once,
    assert_measured_and_logged,
    serving,
    unavailable_collector,
)

pytest.importorskip("gunicorn")

WORKERS = 2
REQUESTS_OF_A_WORKER = 40


def gunicorn(worker: str, *options: str, app: str = "wsgi") -> Callable[[int], list[Any]]:
    def command(port: int) -> list[Any]:
        arguments = ["--bind", f"127.0.0.1:{port}", "--worker-class", worker, "--workers", str(WORKERS)]
        config = ["-c", APPS / "gunicorn.conf.py"]
        threads = [] if worker == "sync" else ["--threads", "2"]  # with threads, Gunicorn uses gthread for sync
        return [sys.executable, "-m", "gunicorn", *config, *arguments, *threads, *options, app]

    return command


def wait_until_no_worker_is_starting(server: Server) -> None:
    """A worker that gets its stop signal too early runs on, also without otel-rs, until Gunicorn kills it."""

    def settled() -> bool:
        lines = server.program.output().splitlines()

        def workers_that_logged(text: str) -> set[str]:
            return {line.split("] [")[1] for line in lines if text in line}

        started = workers_that_logged("Worker takes signals")
        ended = workers_that_logged("Worker exiting")
        ending = workers_that_logged("Autorestarting worker")
        return workers_that_logged("Booting worker") == started and len(started - ended - ending) == WORKERS

    server.wait_for(settled, "workers come and go")


# Where telemetry is set up, when it is exported, and how metrics and logs are.
MOMENTS: list[tuple[str, str, dict[str, str]]] = [
    ("in the master", SOON, {}),
    ("in the master", AT_THE_END, DELTA | OBSERVES | SDKS_HANDLER),
    ("in the application", AT_THE_END, OBSERVES),  # with --preload before the fork, without it after
    ("after the fork", SOON, DELTA | SDKS_HANDLER),
]
SOME = [((), MOMENTS[1]), ((), MOMENTS[3]), (("--preload",), MOMENTS[0]), (("--preload",), MOMENTS[2])]
CASES = [
    *(("gthread", *case) for case in itertools.product([(), ("--preload",)], MOMENTS)),
    *(("sync", *case) for case in SOME),
    *(("gevent", *case) for case in SOME),  # these take a second to notice that they reached their request limit
]


@pytest.mark.parametrize(
    ("worker", "preload", "moment"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(value[:2])
)
def test_generations_of_workers_deliver_everything(
    collector: Collector,
    start_program: Callable[..., Any],
    tmp_path: Path,
    worker: str,
    preload: tuple[str, ...],
    moment: tuple[str, str, dict[str, str]],
) -> None:
    if worker == "gevent":
        pytest.importorskip("gevent")
    generations = 2 if worker == "gevent" else 3
    configured, delay, telemetry = moment
    command = gunicorn(worker, *preload, "--max-requests", str(REQUESTS_OF_A_WORKER))
    environment = {
        "CONFIGURED": configured,
        "OTEL_BSP_SCHEDULE_DELAY": delay,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        **telemetry,
    }
    with serving(start_program, tmp_path, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=WORKERS * generations)
        wait_until_no_worker_is_starting(server)
        server.stop()
        assert bool(server.busy()) == (configured == "in the master")
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_a_reload_and_the_stop_under_load(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, preload: tuple[str, ...]
) -> None:
    environment = {
        "CONFIGURED": "in the application",
        "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        **(DELTA if preload else OBSERVES | SDKS_HANDLER),
    }
    with serving(start_program, tmp_path, gunicorn("gthread", *preload), **environment) as server:
        with Load(server) as load:
            for generation in range(1, 3):
                load.wait_for(answers=100 * generation, processes=WORKERS * generation)
                server.send(signal.SIGHUP)
            load.wait_for(answers=300, processes=WORKERS * 3)
            wait_until_no_worker_is_starting(server)
            server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
def test_opentelemetry_instrument(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, preload: tuple[str, ...]
) -> None:
    environment = {
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
        **(DELTA if preload else OBSERVES),
    }

    def command(port: int) -> list[Any]:
        return [BIN / "opentelemetry-instrument", BIN / "gunicorn", *gunicorn("gthread", *preload)(port)[3:]]

    with serving(start_program, tmp_path, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=WORKERS)
        wait_until_no_worker_is_starting(server)
        server.stop()
        server.program.assert_ran_on("otel_rs")
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("worker", ["asgi", "uvicorn.workers.UvicornWorker"])
def test_workers_for_asgi(collector: Collector, start_program: Callable[..., Any], tmp_path: Path, worker: str) -> None:
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    environment = {
        "CONFIGURED": "in the application",
        "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
    }
    with serving(start_program, tmp_path, gunicorn(worker, "--preload", app="asgi:app"), **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=WORKERS)
        wait_until_no_worker_is_starting(server)
        server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("what", ["down", "silent"])
def test_a_stop_does_not_wait_for_a_collector_that_does_not_answer(
    start_program: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    with (
        unavailable_collector(what) as environment,
        serving(start_program, tmp_path, gunicorn("gthread", "--preload"), **environment) as server,
    ):
        with Load(server) as load:
            load.wait_for(processes=WORKERS)
        wait_until_no_worker_is_starting(server)
        server.stop()
