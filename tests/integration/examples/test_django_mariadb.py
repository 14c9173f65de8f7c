"""examples/django_mariadb under Gunicorn, uWSGI and manage.py: the intake gets each trace from its own process."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from ...support.authority import Authority
from ...support.receiver import Answer, HttpReceiver, ServerTls
from ..otelcol import Collector, attributes_of
from ..program import Program, accepts_connections, free_port, stop, wait_until
from .arrived import Traces
from .running import BIN, IMPLEMENTATIONS, REMOTE_SPAN_ID, example, get, interrupt, listening

KEY = "a key that may write"
ENDPOINT = "https://otlp-vaxila.mackerelio.com/v1/traces"
RUNNING = [sys.executable, "manage.py", "runserver"]
LOADED_AGAIN = "the changed program is loaded"

# How each is started for a port, and how many processes answer.
WAYS: dict[str, tuple[Callable[[int], list[Any]], int]] = {
    "gunicorn": (lambda port: [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"], 2),
    "uwsgi": (lambda port: [BIN / "uwsgi", "--ini", "uwsgi.ini", "--http-socket", f"127.0.0.1:{port}"], 2),
    "manage.py --noreload": (lambda port: [*RUNNING, "--noreload", str(port)], 1),
}


class Intake(HttpReceiver):
    """As the vendor's: takes gzipped protobuf of those who have a key, and refuses everything else."""

    def __init__(self, tls: ServerTls) -> None:
        super().__init__(tls)
        self.refused: list[int] = []

    def _take(self, body: bytes, headers: dict[str, str], path: str, encoded_size: int) -> Answer | None:
        wanted = {"content-encoding": "gzip", "content-type": "application/x-protobuf", "accept": "*/*"}
        if headers.get("mackerel-api-key") != KEY:
            status = 401
        elif path != "/v1/traces" or any(headers.get(name) != value for name, value in wanted.items()):
            status = 415
        else:
            return super()._take(body, headers, path, encoded_size)
        self.refused.append(status)
        return Answer(status)

    def has_requests(self, number: int) -> bool:
        return len(self.traces().named("GET messages/<int:id>")) >= number

    def traces(self) -> Traces:
        messages = [MessageToDict(request.message, use_integers_for_enums=True) for request in self.requests]
        return Traces([item for message in messages for item in message["resourceSpans"]])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "vendor")


@pytest.fixture(scope="module")
def database(mariadb: int, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The port of the database with the example's table."""
    pytest.importorskip("MySQLdb", reason="mysqlclient is not installed: it needs Debian's libmariadb-dev, pkg-config")
    folder = example("django_mariadb", "stock", tmp_path_factory.mktemp("migration"))
    environment = {"DATABASE_PORT": str(mariadb), "MACKEREL_API_KEY": KEY, "OTEL_SDK_DISABLED": "true"}
    migrate = [sys.executable, "manage.py", "migrate"]
    done = subprocess.run(migrate, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return mariadb


@pytest.fixture
def intake(authority: Authority) -> Iterator[Intake]:
    intake = Intake(ServerTls(*authority.sign("server")))
    try:
        yield intake
    finally:
        intake.stop()


def sending_to(folder: Path, endpoint: str) -> Path:
    """The example, sent to this endpoint."""
    program = folder / "instrument.py"
    assert ENDPOINT in program.read_text()
    program.write_text(program.read_text().replace(ENDPOINT, endpoint))
    return folder


def environment_of(folder: Path, database: int, authority: Authority, key: str = KEY) -> dict[str, str]:
    return {
        "DATABASE_PORT": str(database),
        "MACKEREL_API_KEY": key,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.certificate),
        "PYTHONPATH": str(folder),
        "HOME": str(folder),  # Gunicorn keeps a socket there
    }


def answers_of(port: int, processes: int) -> dict[str, int]:
    """Asks until all processes have answered, and six times at least: the process by the request's trace id."""
    answers: dict[str, int] = {}

    def enough() -> bool:
        trace_id = uuid.uuid4().hex
        answer = json.loads(get(port, "/messages/1", traceparent=f"00-{trace_id}-{REMOTE_SPAN_ID}-01"))
        assert answer["text"] == "hello"
        answers[trace_id] = answer["pid"]
        return len(answers) >= 6 and len(set(answers.values())) >= processes

    wait_until(enough, lambda: f"only {set(answers.values())} have answered")
    return answers


def assert_each_trace_is_of_its_process(traces: Traces, answers: dict[str, int]) -> None:
    servers = traces.named("GET messages/<int:id>")
    assert len(servers) == len(answers)
    for server in servers:
        assert server["kind"] == 2
        attributes = attributes_of(server["resource"])
        assert attributes.pop("process.pid") == answers[hexadecimal(server["traceId"])]
        assert attributes.pop("service.instance.id")
        del attributes["test.run"]
        assert {name: value for name, value in attributes.items() if not name.startswith("telemetry.")} == {
            "service.name": "acme_service",
            "service.version": "vX.Y.Z",
            "deployment.environment": "production",
            "host.name": socket.gethostname(),
        }
        (action,) = [span for span in traces.named("awesome_action") if span["traceId"] == server["traceId"]]
        assert (action["parentSpanId"], attributes_of(action)) == (server["spanId"], {"id": 1})
        queries = [span for span in traces.named("SELECT") if span.get("parentSpanId") == action["spanId"]]
        assert any("message_message" in attributes_of(query)["db.statement"] for query in queries)
        for span in (action, *queries):
            assert span["resource"] == server["resource"]


def hexadecimal(trace_id: str) -> str:
    """An id as the header has it. Protobuf's JSON has base64."""
    return trace_id if len(trace_id) == 32 else base64.b64decode(trace_id).hex()


def served(
    start_program: Any,
    folder: Path,
    way: str,
    environment: dict[str, str],
    has_arrived: Callable[[int], bool] = lambda _requests: True,
) -> tuple[Program, dict[str, int]]:
    """Answers requests until `has_arrived` is true of their number, and stops."""
    command, processes = WAYS[way]
    port = free_port()
    os.chdir(folder)
    with listening(start_program, port, *map(str, command(port)), **environment) as program:
        answers = answers_of(port, processes)
        wait_until(lambda: has_arrived(len(answers)), program.output)
        if way.startswith("manage.py"):
            interrupt(program)
        else:
            stop(program.process)
    return program, answers


@pytest.mark.parametrize("way", WAYS)
def test_the_intake_gets_each_trace_from_the_process_that_made_it(
    start_program: Any, tmp_path: Path, monkeypatch: Any, authority: Authority, intake: Intake, database: int, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arrived: dict[str, set[str]] = {}
    for implementation in IMPLEMENTATIONS:
        intake.requests.clear()
        folder = sending_to(example("django_mariadb", implementation, tmp_path), intake.endpoint)
        environment = environment_of(folder, database, authority)
        # The stock SDK loses what waits when a worker of uWSGI ends.
        environment["OTEL_BSP_SCHEDULE_DELAY"] = "100"
        program, answers = served(start_program, folder, way, environment, intake.has_requests)
        traces = intake.traces()
        assert_each_trace_is_of_its_process(traces, answers)
        assert not intake.refused
        assert len(set(traces.ids())) == len(traces)
        # The first request of a process has more queries, and how many requests each got is chance.
        arrived[implementation] = set(traces.structure())
        assert_ran_on(implementation, program)
    assert arrived["otel-rs"] == arrived["stock"]


def assert_ran_on(implementation: str, program: Program) -> None:
    assert program.imported("otel_rs._native") is (implementation == "otel-rs")
    if implementation == "otel-rs":
        assert not [name for name in ("requests", "google.protobuf", "grpc") if program.imported(name)]


def test_the_development_server_restarts_when_a_file_changes(
    start_program: Any, tmp_path: Path, monkeypatch: Any, authority: Authority, intake: Intake, database: int
) -> None:
    monkeypatch.chdir(tmp_path)
    arrived: dict[str, set[str]] = {}
    for implementation in IMPLEMENTATIONS:
        intake.requests.clear()
        folder = sending_to(example("django_mariadb", implementation, tmp_path), intake.endpoint)
        monkeypatch.chdir(folder)
        settings = folder / "message" / "settings.py"
        settings.write_text(f"{settings.read_text()}DEBUG = True\n")
        port = free_port()
        environment = environment_of(folder, database, authority)
        with listening(start_program, port, *RUNNING, str(port), **environment) as program:
            before = answers_of(port, 1)
            urls = folder / "message" / "urls.py"
            urls.write_text(f"{urls.read_text()}\nprint('{LOADED_AGAIN}', flush=True)\n")
            wait_until(lambda program=program: LOADED_AGAIN in program.output(), program.output)
            wait_until(lambda port=port: accepts_connections(port), program.output)
            answers = before | answers_of(port, 1)
            assert len({program.process.pid, *answers.values()}) == 3
            os.kill(list(answers.values())[-1], signal.SIGINT)
            program.process.wait(timeout=30)
        traces = intake.traces()
        assert_each_trace_is_of_its_process(traces, answers)
        arrived[implementation] = set(traces.structure())
    assert arrived["otel-rs"] == arrived["stock"]


def test_a_key_that_is_refused_costs_one_line_and_no_answer(
    start_program: Any, tmp_path: Path, monkeypatch: Any, authority: Authority, intake: Intake, database: int
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = sending_to(example("django_mariadb", "otel-rs", tmp_path), intake.endpoint)
    environment = environment_of(folder, database, authority, key="not a key of theirs")
    program, answers = served(start_program, folder, "manage.py --noreload", environment)
    assert len(answers) >= 6
    assert set(intake.refused) == {401}
    assert not intake.requests
    failures = [line for line in program.output().splitlines() if "Failed to export" in line]
    assert len(failures) == 1
    assert "401" in failures[0]
    assert "not a key of theirs" not in program.output()


def test_by_a_collector(
    collector: Collector, start_program: Any, tmp_path: Path, monkeypatch: Any, authority: Authority, database: int
) -> None:
    monkeypatch.chdir(tmp_path)
    arrived: dict[str, list[str]] = {}
    for implementation in IMPLEMENTATIONS:
        endpoint = f"{collector.endpoint('http/protobuf')}/v1/traces"
        folder = sending_to(example("django_mariadb", implementation, tmp_path), endpoint)
        environment = environment_of(folder, database, authority)
        program, answers = served(start_program, folder, "manage.py --noreload", environment)
        # All in one request, when the program ended.
        traces = Traces(collector.wait_for_spans(program.run, len(answers), program))
        assert_each_trace_is_of_its_process(traces, answers)
        arrived[implementation] = traces.structure()
    assert arrived["otel-rs"] == arrived["stock"]
