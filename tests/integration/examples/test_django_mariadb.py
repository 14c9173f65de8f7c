"""examples/django_mariadb: under Gunicorn, uWSGI and manage.py, sent to a vendor's intake and to the Collector."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ...support.authority import Authority
from ...support.proxy import Proxy
from ...support.receiver import ServerTls
from ..otelcol import Collector, attributes_of
from ..program import Program, accepts_connections, free_port, wait_until
from .arrived import Traces, traces_of
from .intake import Intake
from .running import BIN, IMPLEMENTATIONS, REMOTE_SPAN_ID, example, get, interrupt, listening, site_that_installs

try:
    import MySQLdb  # noqa: F401
except ModuleNotFoundError:
    pytest.skip(
        "mysqlclient is not installed: it needs Debian's libmariadb-dev and pkg-config", allow_module_level=True
    )

VENDOR = "otlp-vaxila.mackerelio.com"
KEY = "the vendor's key"
RESOURCE = {
    "service.name": "acme_service",
    "service.version": "vX.Y.Z",
    "deployment.environment": "production",
    "host.name": socket.gethostname(),
}

# What one request makes. On a new connection Django asks for the server's version and settings once.
VIEW = "SERVER GET messages/<int:id> < remote"
ACTION = f"INTERNAL awesome_action < {VIEW}"
REQUEST = sorted([VIEW, ACTION, f"CLIENT SET < {ACTION}", f"CLIENT SELECT < {ACTION}"])
FIRST_REQUEST = sorted([*REQUEST, f"CLIENT SELECT < {ACTION}"])
# What runserver asks the database before it serves, to see whether migrations are missing.
CHECKS = ["CLIENT SELECT"] * 3 + ["CLIENT SET"]

AT_THE_END = "3600000"
REQUESTS = 6


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "vendor")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ServerTls:
    return ServerTls(*authority.sign(VENDOR, extensions=f"subjectAltName=DNS:{VENDOR}"))


@pytest.fixture
def intake(tls: ServerTls) -> Iterator[Intake]:
    intake = Intake(tls, "Mackerel-Api-Key", KEY)
    try:
        yield intake
    finally:
        intake.stop()


@pytest.fixture
def to_the_vendor(intake: Intake, authority: Authority) -> Iterator[dict[str, str]]:
    """The environment in which the vendor's name leads to the intake, so that the program runs as it is written."""
    with Proxy(intake) as proxy:
        yield {
            "HTTPS_PROXY": f"http://{proxy.address}",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.certificate),
            "MACKEREL_API_KEY": KEY,
        }
        assert {head.split(b" HTTP/")[0] for head in proxy.heads} == {f"CONNECT {VENDOR}:443".encode()}


@pytest.fixture(scope="module")
def database(mariadb: int, start_program: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The port of the database, with the example's table and messages."""
    folder = example("django_mariadb", "stock", tmp_path_factory.mktemp("database"))
    environment = {"DATABASE_PORT": str(mariadb), "MACKEREL_API_KEY": "", "OTEL_SDK_DISABLED": "true"}
    run_command(start_program, folder, "migrate", **environment)
    return str(mariadb)


def run_command(start_program: Any, folder: Path, *command: str, **environment: str) -> Program:
    """Runs a command of manage.py until its end."""
    with start_program(sys.executable, folder / "manage.py", *command, **environment) as program:
        program.process.wait(timeout=60)
        assert program.process.returncode == 0, program.output()
    return program


class Django:
    """The served example, and the answers to the requests that were sent to it: process ids by trace ids."""

    def __init__(self, program: Program, port: int) -> None:
        self.program, self._port = program, port
        self.answers: dict[str, int] = {}

    def ask(self) -> int:
        """Sends a request; returns the id of the process that answered."""
        trace = uuid.uuid4().hex
        text = get(self._port, "/messages/1", traceparent=f"00-{trace}-{REMOTE_SPAN_ID}-01")
        answer = json.loads(text)
        assert answer["text"] == "hello"
        self.answers[trace] = answer["pid"]
        return answer["pid"]

    def ask_until(self, processes: int) -> None:
        """Sends several requests, until this number of processes has answered."""

        def enough() -> bool:
            self.ask()
            return len(self.answers) >= REQUESTS and len(set(self.answers.values())) >= processes

        wait_until(enough, lambda: f"only {set(self.answers.values())} answered\n{self.program.output()}")

    def wait_until_it_serves(self) -> None:
        wait_until(lambda: accepts_connections(self._port), self.program.output)

    def ask_for_a_missing_message(self) -> None:
        get(self._port, "/messages/99", 500, traceparent=f"00-{uuid.uuid4().hex}-{REMOTE_SPAN_ID}-01")

    def assert_each_trace_is_of_the_process_that_answered(self, traces: Traces) -> None:
        for span in traces.spans():
            resource = attributes_of(span["resource"])
            assert {name: resource[name] for name in RESOURCE} == RESOURCE
            assert self.answers.get(span["traceId"], resource["process.pid"]) == resource["process.pid"]
        actions = {span["traceId"]: attributes_of(span) for span in traces.named("awesome_action")}
        assert [actions[trace] for trace in self.answers] == [{"id": 1}] * len(self.answers)


@contextmanager
def serving(start_program: Any, folder: Path, command: list[Any], port: int, **environment: str) -> Iterator[Django]:
    """Runs the command in the example's folder, and waits until it serves there."""
    in_folder = ["sh", "-c", 'cd "$0" && exec "$@"', folder]
    environment = {"HOME": str(folder), **environment}  # Gunicorn keeps a socket there
    with listening(start_program, port, *in_folder, *command, **environment) as program:
        yield Django(program, port)


def gunicorn(port: int) -> list[Any]:
    return [BIN / "gunicorn", "--bind", f"127.0.0.1:{port}"]


def uwsgi(port: int) -> list[Any]:
    return [BIN / "uwsgi", "--ini", "uwsgi.ini", "--http-socket", f"127.0.0.1:{port}"]


def runserver(port: int, *options: str) -> list[Any]:
    return [sys.executable, "manage.py", "runserver", *options, str(port)]


def traces_of_two_workers(
    start_program: Any, intake: Intake, folder: Path, server: Callable[[int], list[Any]], **environment: str
) -> tuple[Traces, Program]:
    """Asks until both workers have answered; asserts that all of their spans arrive, and each from its own worker."""
    port = free_port()
    with serving(start_program, folder, server(port), port, **environment) as django:
        django.ask_until(processes=2)
        django.ask_for_a_missing_message()
        requests = len(django.answers) + 1
        expected = sorted(FIRST_REQUEST * 2 + REQUEST * (requests - 2))
        traces = intake.traces(django.program, len(expected))
        assert traces.trees() == expected
        django.assert_each_trace_is_of_the_process_that_answered(traces)
        return traces, django.program


@pytest.mark.parametrize("server", [gunicorn, uwsgi])
def test_the_intake_gets_each_trace_from_the_process_that_made_it(
    start_program, database, intake, to_the_vendor, tmp_path, server
) -> None:
    structures = {}
    for implementation in IMPLEMENTATIONS:
        folder = example("django_mariadb", implementation, tmp_path)
        if implementation == "otel-rs":
            without_lines(folder / "uwsgi.ini", "enable-threads")
        environment = {"DATABASE_PORT": database, "OTEL_BSP_SCHEDULE_DELAY": "100", **to_the_vendor}
        traces, program = traces_of_two_workers(start_program, intake, folder, server, **environment)
        program.assert_ran_on(implementation)
        assert program.imported("requests") is (implementation == "stock")
        # Each kind of request once: how many there were is chance.
        structures[implementation] = set(traces.structure(without=frozenset({"exception.stacktrace"})))
    assert structures["otel-rs"] == structures["stock"]


@pytest.mark.parametrize("server", [gunicorn, uwsgi])
def test_on_otel_rs_instrument_may_be_called_before_the_fork(
    start_program, database, intake, to_the_vendor, tmp_path, server
) -> None:
    folder = example("django_mariadb", "otel-rs", tmp_path)
    without_lines(folder / "gunicorn.conf.py", "def post_fork", "    instrument()")
    without_lines(folder / "uwsgi.ini", "enable-threads", "shared-import", "lazy-apps")
    wsgi = folder / "message" / "wsgi.py"
    application = "\napplication = "
    assert application in wsgi.read_text()
    wsgi.write_text(
        wsgi.read_text().replace(application, f"\nfrom instrument import instrument\n\ninstrument()\n{application}")
    )
    environment = {
        "DATABASE_PORT": database,
        "GUNICORN_CMD_ARGS": "--preload",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        # The program's own `process.pid` is the master's; the detector puts each worker's in its place.
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
        **to_the_vendor,
    }
    _, program = traces_of_two_workers(start_program, intake, folder, server, **environment)
    program.assert_ran_on("otel-rs")


def without_lines(file: Path, *starts: str) -> None:
    lines = file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(starts)]
    assert len(kept) == len(lines) - len(starts)
    file.write_text("".join(kept))


def send_to_the_collector(program: Path, endpoint: str) -> None:
    """Changes the program as the document says for a Collector: its endpoint, and no headers."""
    text = program.read_text()
    headers = text[text.index("                headers={") : text.index("                compression=")]
    changed = text.replace(headers, "").replace(f"https://{VENDOR}/v1/traces", endpoint)
    assert "headers" not in changed
    assert endpoint in changed
    program.write_text(changed)


def test_by_a_collector(collector: Collector, start_program, database, tmp_path) -> None:
    structures = {}
    for implementation in IMPLEMENTATIONS:
        folder, port = example("django_mariadb", implementation, tmp_path), free_port()
        send_to_the_collector(folder / "instrument.py", f"{collector.endpoint('http/protobuf')}/v1/traces")
        command = runserver(port, "--noreload")
        environment = {"DATABASE_PORT": database, "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END}
        with serving(start_program, folder, command, port, **environment) as django:
            django.ask_until(processes=1)
            interrupt(django.program)
            expected = sorted(FIRST_REQUEST * REQUESTS + CHECKS)
            traces = traces_of(collector, django.program, len(expected))
            assert traces.trees() == expected
            django.assert_each_trace_is_of_the_process_that_answered(traces)
            django.program.assert_ran_on(implementation)
        structures[implementation] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]


def change_until_gone(file: Path, old: str, new: str, process: int) -> None:
    """Edits the file. Django may not have seen its first time of change yet, so the time grows until Django notices."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    time_of_change = file.stat().st_mtime

    def gone() -> bool:
        nonlocal time_of_change
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time_of_change += 1
        os.utime(file, (time_of_change, time_of_change))
        return False

    wait_until(gone, lambda: "runserver did not notice that the file changed")


def test_the_development_server_restarts_when_a_file_changes(
    start_program, database, intake, to_the_vendor, tmp_path
) -> None:
    structures = {}
    for implementation in IMPLEMENTATIONS:
        folder, port = example("django_mariadb", implementation, tmp_path), free_port()
        environment = {"DATABASE_PORT": database, "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END, **to_the_vendor}
        with serving(start_program, folder, runserver(port), port, **environment) as django:
            before = {django.ask(), django.ask()}
            change_until_gone(folder / "message" / "actions.py", '"my.tracer.name"', '"changed.name"', *before)
            django.wait_until_it_serves()
            after = {django.ask(), django.ask()}
            # Ctrl+C reaches both processes; the outer one would leave the inner one only 0.25 s.
            os.kill(*after, signal.SIGINT)
            django.program.process.wait(timeout=30)
            assert len(before | after | {django.program.process.pid}) == 3
            expected = sorted(FIRST_REQUEST * 4 + CHECKS * 2)
            traces = intake.traces(django.program, len(expected))
            assert traces.trees() == expected
            django.assert_each_trace_is_of_the_process_that_answered(traces)
            scopes = sorted(span["scope"]["name"] for span in traces.named("awesome_action"))
            assert scopes == ["changed.name"] * 2 + ["my.tracer.name"] * 2
            django.program.assert_ran_on(implementation)
        structures[implementation] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]


def test_a_command_sends_its_spans_before_it_ends(start_program, database, intake, to_the_vendor, tmp_path) -> None:
    stock = example("django_mariadb", "stock", tmp_path)
    ways = {
        "stock": (stock, {}),
        "otel-rs": (example("django_mariadb", "otel-rs", tmp_path), {}),
        "otel-rs without the two lines": (stock, {"PYTHONPATH": site_that_installs(tmp_path)}),
    }
    structures = {}
    for way, (folder, more) in ways.items():
        environment = {"DATABASE_PORT": database, **to_the_vendor, **more}
        program = run_command(start_program, folder, "migrate", **environment)
        traces = Traces(intake.resource_spans(program.run))
        assert set(traces.trees()) == {"CLIENT SELECT", "CLIENT SET"}
        program.assert_ran_on(way.split()[0])
        structures[way] = traces.structure()
    assert structures["otel-rs"] == structures["stock"]
    assert structures["otel-rs without the two lines"] == structures["stock"]


def printed_spans(output: str) -> list[dict[str, Any]]:
    """The JSON objects in the output of a ConsoleSpanExporter, without ids, times and what differs in each run."""
    spans, decoder, at = [], json.JSONDecoder(), 0
    while (at := output.find("{\n", at)) >= 0:
        span, at = decoder.raw_decode(output, at)
        assert span["resource"]["attributes"].pop("process.pid")
        for changing in ("service.instance.id", "test.run"):
            span["resource"]["attributes"].pop(changing, None)
        span["attributes"].pop("net.peer.port", None)
        spans.append({name: span[name] for name in ("name", "kind", "status", "attributes", "resource")})
    return spans


def test_the_console_for_debugging(start_program, database, tmp_path) -> None:
    spans = {}
    for implementation in IMPLEMENTATIONS:
        folder = example("django_mariadb", implementation, tmp_path)
        text = (folder / "instrument.py").read_text()
        of_the_vendor = text[text.index("        BatchSpanProcessor(\n") : text.index("    trace.set_tracer_provider")]
        to_debug = "        BatchSpanProcessor(ConsoleSpanExporter())\n    )\n"
        (folder / "instrument.py").write_text(text.replace(of_the_vendor, to_debug))
        environment = {"DATABASE_PORT": database}
        program = run_command(start_program, folder, "migrate", **environment)
        program.assert_ran_on(implementation)
        spans[implementation] = printed_spans(program.output())
    assert {span["name"] for span in spans["otel-rs"]} == {"SELECT", "SET"}
    assert spans["otel-rs"] == spans["stock"]


def test_a_key_that_is_refused_costs_one_line_and_no_answer(
    start_program, database, intake, to_the_vendor, tmp_path
) -> None:
    folder, port = example("django_mariadb", "otel-rs", tmp_path), free_port()
    environment = {"DATABASE_PORT": database, "OTEL_BSP_SCHEDULE_DELAY": "50", **to_the_vendor}
    environment["MACKEREL_API_KEY"] = wrong = "a wrong key"
    with serving(start_program, folder, runserver(port, "--noreload"), port, **environment) as django:
        for refused in range(1, 4):  # three exports
            django.ask()
            wait_until(lambda refused=refused: len(intake.refused) >= refused, django.program.output)
        django.ask()
        interrupt(django.program)
        assert set(intake.refused) == {401}
        assert not intake.requests
        lines = [line for line in django.program.output().splitlines() if "401" in line]
        assert len(lines) == 1, django.program.output()
        assert wrong not in django.program.output()
