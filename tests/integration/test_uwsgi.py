"""Under uWSGI, which forks in C and needs no option, no span, measurement or log line is lost, sent twice or sent with
a wrong resource."""

from __future__ import annotations

import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_rs

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
    assert_each_span_was_received_once,
    assert_measured_and_logged,
    assert_stop_does_not_wait,
    serving,
)

pytest.importorskip("pyuwsgi")

PROCESSES = 2
MASTER = ("--master", "--processes", str(PROCESSES))
THREADS = ("--threads", "2")
ARGUMENTS = ("--disable-logging", "--module", "wsgi", "--http-socket")

# By default SIGTERM reloads uWSGI. Options make it stop at once, or after the running requests.
STOP_AT_ONCE = ("--die-on-term",)
STOP_GRACEFULLY = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")


def uwsgi(*options: str) -> Callable[[int], list[Any]]:
    def command(port: int) -> list[Any]:
        return [BIN / "uwsgi", *options, *ARGUMENTS, f"127.0.0.1:{port}"]

    return command


def environment_for(collector: Collector, delay: str = AT_THE_END, configured: str = "in the application") -> dict:
    return {
        "CONFIGURED": configured,
        "OTEL_BSP_SCHEDULE_DELAY": delay,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
    }


@pytest.mark.parametrize(
    ("options", "configured", "delay", "telemetry"),
    [
        ((), "in the application", AT_THE_END, OBSERVES),
        (THREADS, "in the application", AT_THE_END, DELTA | SDKS_HANDLER),
        (MASTER, "in the application", SOON, {}),
        (MASTER, "in the application", AT_THE_END, DELTA | OBSERVES),
        (MASTER, "after the fork", SOON, DELTA | SDKS_HANDLER),
        (MASTER + THREADS, "in the application", SOON, DELTA | OBSERVES | SDKS_HANDLER),
        (MASTER + THREADS, "in the application", AT_THE_END, {}),
        (MASTER + THREADS, "after the fork", AT_THE_END, OBSERVES),
        ((*MASTER, "--lazy-apps"), "in the application", SOON, OBSERVES),
        ((*MASTER, *THREADS, "--lazy-apps"), "in the application", AT_THE_END, DELTA),
    ],
)
def test_everything_is_delivered(
    collector: Collector,
    start_program: Callable[..., Any],
    tmp_path: Path,
    options: tuple[str, ...],
    configured: str,
    delay: str,
    telemetry: dict[str, str],
) -> None:
    environment = environment_for(collector, delay, configured) | telemetry
    with serving(start_program, tmp_path, uwsgi(*options, *STOP_AT_ONCE), **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=PROCESSES if "--master" in options else 1)
        server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("lazy", [(), ("--lazy-apps",)], ids=["", "lazy-apps"])
def test_generations_of_workers_and_a_graceful_stop_under_load(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, lazy: tuple[str, ...]
) -> None:
    command = uwsgi(*MASTER, *lazy, "--max-requests", "40", "--min-worker-lifetime", "0", *STOP_GRACEFULLY)
    with serving(start_program, tmp_path, command, **environment_for(collector)) as server:
        with Load(server) as load:
            load.wait_for(processes=PROCESSES * 2)
            server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("lazy", [(), ("--lazy-apps",)], ids=["", "lazy-apps"])
def test_a_reload_under_load(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, lazy: tuple[str, ...]
) -> None:
    environment = environment_for(collector)
    # The base Python of the virtual environment runs the reloaded uWSGI, which needs the packages of the environment.
    packages = [APPS, Path(otel_rs.__file__).parents[1], sysconfig.get_path("purelib")]
    environment["PYTHONPATH"] = ":".join(map(str, packages))
    with serving(start_program, tmp_path, uwsgi(*MASTER, *lazy, *STOP_GRACEFULLY), **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=PROCESSES)
            server.send(signal.SIGHUP)
            load.wait_for(processes=PROCESSES * 2)
            server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


def test_all_threads_of_a_forked_worker_have_its_resource(start_program: Callable[..., Any]) -> None:
    environment = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process"}
    with start_program(sys.executable, APPS / "fork_in_c.py", **environment) as program:
        assert program.process.wait(timeout=30) == 0, program.output()


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_worker_stopped_during_a_request_delivers_what_was_recorded_before(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, temporality: str
) -> None:
    command = uwsgi("--master", "--processes", "1", *STOP_AT_ONCE)
    # An observable instrument is not read there; what is recorded arrives.
    environment = environment_for(collector) | OBSERVES | (DELTA if temporality == "delta" else {})
    with serving(start_program, tmp_path, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(answers=20)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
            server.wait_for(lambda: server.logged("slow request"))
            server.stop()
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server, ends_in_c=True)


def test_opentelemetry_instrument(collector: Collector, start_program: Callable[..., Any], tmp_path: Path) -> None:
    environment = {"OTEL_PYTHON_DISTRO": "rs", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"), **OBSERVES}

    def command(port: int) -> list[Any]:
        return [BIN / "opentelemetry-instrument", *uwsgi(*MASTER, *STOP_AT_ONCE)(port)]

    with serving(start_program, tmp_path, command, **environment) as server:
        with Load(server) as load:
            load.wait_for(processes=PROCESSES)
        server.stop()
        server.program.assert_ran_on("otel_rs")
        assert_each_span_was_received_once(collector, server, load)
        assert_measured_and_logged(collector, server)


@pytest.mark.parametrize("what", ["down", "silent"])
def test_a_stop_does_not_wait_for_a_collector_that_does_not_answer(
    start_program: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    command = uwsgi(*MASTER, *STOP_AT_ONCE)
    assert_stop_does_not_wait(what, start_program, tmp_path, command, PROCESSES)
