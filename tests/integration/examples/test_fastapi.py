"""examples/fastapi_sqlalchemy sends from otel-rs what it sends from the stock SDK, and what its README says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..servers import AT_THE_END, BIN, SOON, Server, serving
from .arrived import Traces, log_records, log_structure, metric_names, traces_of
from .running import (
    DISTRO,
    EXAMPLES,
    IMPLEMENTATIONS,
    INSTRUMENT,
    REMOTE_SPAN_ID,
    REMOTE_TRACE_ID,
    TRACEPARENT,
    example,
    get,
)

pymysql = pytest.importorskip("pymysql")
pytest.importorskip("aiomysql")
pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("uvicorn")

# The requests for an order that can be answered, one whose rug has no price, and one that does not exist.
ORDER = [
    "CLIENT GET < SERVER GET /orders/{number}",
    "CLIENT SELECT < SERVER GET /orders/{number}",
    "CLIENT connect < SERVER GET /orders/{number}",
    "INTERNAL GET /orders/{number} http send < SERVER GET /orders/{number}",
    "INTERNAL GET /orders/{number} http send < SERVER GET /orders/{number}",
    "SERVER GET /orders/{number}",
]
PRICE = [
    "INTERNAL GET /prices/{item} http send < SERVER GET /prices/{item} < CLIENT GET < SERVER GET /orders/{number}",
    "INTERNAL GET /prices/{item} http send < SERVER GET /prices/{item} < CLIENT GET < SERVER GET /orders/{number}",
    "SERVER GET /prices/{item} < CLIENT GET < SERVER GET /orders/{number}",
]
WITHOUT_PRICES = [tree for tree in ORDER if not tree.startswith("CLIENT GET")]
EXPECTED_TREES = sorted(
    [
        *(f"{tree} < remote" for tree in [*ORDER, ORDER[0], *PRICE, *PRICE]),
        *ORDER,
        *PRICE,
        *WITHOUT_PRICES,
    ]
)
EXPECTED_METRICS = {
    "db.client.connections.usage",
    "http.client.duration",
    "http.server.active_requests",
    "http.server.duration",
    "http.server.response.size",
}

# What tells the two runs apart, in texts and in attributes of the process.
FOLDERS = (r"fastapi_sqlalchemy-(stock|otel-rs)", "fastapi_sqlalchemy")
OF_THE_PROCESS = frozenset({"process.parent_pid", "process.command_args", "process.command_line"})


@pytest.fixture(scope="session")
def database(mariadb: int) -> str:
    """The address of the database, with what is in the example's shop.sql."""
    connection = pymysql.connect(
        host="127.0.0.1", port=mariadb, user="shop", password="shop", database="shop", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        for statement in (EXAMPLES / "fastapi_sqlalchemy" / "shop.sql").read_text().split(";")[:-1]:
            cursor.execute(statement)
    return f"mysql+aiomysql://shop:shop@127.0.0.1:{mariadb}/shop"


@pytest.fixture
def start(collector: Collector, start_program: Callable[..., Any], database: str, tmp_path: Path) -> Callable[..., Any]:
    """`with start(implementation, *command, **environment) as server` runs the command in a copy of the example."""

    @contextmanager
    def start(implementation: str, *command: str | Path, **environment: str) -> Iterator[Server]:
        folder = example("fastapi_sqlalchemy", implementation, tmp_path)

        def on_port(port: int) -> list[Any]:
            prices = f"PRICES_URL=http://127.0.0.1:{port}"
            return ["env", "-C", folder, prices, *command, "--port", str(port)]

        environment = {
            **DISTRO[implementation],
            "OTEL_SERVICE_NAME": "shop",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint("grpc"),
            "OTEL_BSP_SCHEDULE_DELAY": SOON,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_LOGS_EXPORTER": "otlp",
            "DATABASE_URL": database,
            "PYTHONPATH": "",
            **environment,
        }
        with serving(start_program, tmp_path, on_port, **environment) as server:
            yield server

    return start


def ask_for_three_orders(port: int) -> None:
    assert json.loads(get(port, "/orders/1", traceparent=TRACEPARENT)) == {"number": 1, "total": 240}
    get(port, "/orders/2", status=500)
    get(port, "/orders/3", status=404)


def pids(traces: Traces, name: str) -> dict[str, int]:
    """The process that sent each trace with a span of this name."""
    return {span["traceId"]: attributes_of(span["resource"])["process.pid"] for span in traces.named(name)}


def assert_traces_are_complete(traces: Traces) -> None:
    """Parents across tasks, the attributes of the database, and the errors."""
    assert traces.trees() == EXPECTED_TREES
    (first,) = [span for span in traces.named("GET /orders/{number}") if span.get("parentSpanId")]
    assert (first["traceId"], first["parentSpanId"]) == (REMOTE_TRACE_ID, REMOTE_SPAN_ID)
    for span in traces.named("SELECT"):
        attributes = attributes_of(span)
        assert (attributes["db.system"], attributes["db.name"], attributes["db.user"]) == ("mysql", "shop", "shop")
        assert attributes["db.statement"].startswith("SELECT item FROM order_items")
    failed = [span for span in traces.named("GET /orders/{number}") if span.get("status", {}).get("code") == 2]
    types = [attributes_of(event)["exception.type"] for span in failed for event in span["events"]]
    assert types == ["httpx.HTTPStatusError"]


def test_two_workers_without_a_change_to_the_program(collector: Collector, start: Callable[..., Any]) -> None:
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        command = [INSTRUMENT, BIN / "uvicorn", "app:app", "--workers", "2"]
        with start(implementation, *command) as server:
            ask_for_three_orders(server.port)
            traces = traces_of(collector, server.program, len(EXPECTED_TREES))
            assert_traces_are_complete(traces)
            metrics = metric_names(collector, server.program, *EXPECTED_METRICS)
            records = log_records(collector, server.program, 1)
            assert records[0]["body"] == {"stringValue": "no order 3"}
            assert records[0]["traceId"] in pids(traces, "GET /orders/{number}")
            arrived[implementation] = (
                traces.structure(FOLDERS, without=OF_THE_PROCESS),
                metrics,
                log_structure(records, traces, FOLDERS, without=OF_THE_PROCESS),
            )
            assert_both_workers_send(collector, server)
            server.program.assert_ran_on(implementation)
            server.stop()
    assert arrived["otel-rs"] == arrived["stock"]
    assert arrived["otel-rs"][1] == EXPECTED_METRICS


def assert_both_workers_send(collector: Collector, server: Server) -> None:
    """Asks until both have answered: each answer's trace is from one of two processes, neither of them the master."""

    def both() -> bool:
        # One after the other, the same worker would answer them all.
        with ThreadPoolExecutor(8) as clients:
            list(clients.map(lambda _: get(server.port, "/version"), range(8)))
        return len(senders()) == 2

    def senders() -> set[int]:
        traces = Traces(collector.resource_spans(server.program.run))
        return set(pids(traces, "GET /version").values())

    server.wait_for(both, "only one worker sends")
    assert server.program.process.pid not in senders()


def test_reload_without_a_change_to_the_program(
    collector: Collector, start: Callable[..., Any], tmp_path: Path
) -> None:
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        # The stock SDK loses what waits in the process that is replaced, so there nothing waits.
        delay = SOON if implementation == "stock" else AT_THE_END
        command = [INSTRUMENT, BIN / "uvicorn", "app:app", "--reload"]
        with start(implementation, *command, OTEL_BSP_SCHEDULE_DELAY=delay) as server:
            program = tmp_path / f"fastapi_sqlalchemy-{implementation}" / "app.py"
            answers = ask_before_and_after_a_change(collector, server, program, wait=implementation == "stock")
            server.stop()
            traces = traces_of(collector, server.program, 3 * len(answers))
            assert set(traces.trees()) == {
                "INTERNAL GET /version http send < SERVER GET /version < remote",
                "SERVER GET /version < remote",
            }
            processes = pids(traces, "GET /version")
            old, new = ({processes[trace] for trace, answer in answers.items() if answer == text} for text in "12")
            assert len(old) == len(new) == 1
            assert old != new
            assert server.program.process.pid not in old | new
            arrived[implementation] = set(traces.structure(FOLDERS, without=OF_THE_PROCESS))
    assert arrived["otel-rs"] == arrived["stock"]


def ask_before_and_after_a_change(collector: Collector, server: Server, program: Path, *, wait: bool) -> dict[str, str]:
    """Asks for the version, changes it in the program, and asks until the answer has changed: trace ids and answers."""
    answers: dict[str, str] = {}

    def ask() -> str:
        trace = f"{len(answers) + 1:032x}"
        answers[trace] = get(server.port, "/version", traceparent=f"00-{trace}-{REMOTE_SPAN_ID}-01")
        return answers[trace]

    def all_arrived() -> bool:
        return len(Traces(collector.resource_spans(server.program.run))) == 3 * len(answers)

    assert ask() == "1"
    if wait:
        server.wait_for(all_arrived, "the spans before the change")
    program.write_text(program.read_text().replace("return 1", "return 2"))
    server.wait_for(lambda: server.logged("Started server process") == 2, "it does not reload")
    assert ask() == "2"
    if wait:
        server.wait_for(all_arrived, "the spans after the change")
    return answers


def test_set_up_in_the_program(collector: Collector, start: Callable[..., Any]) -> None:
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        with start(implementation, BIN / "uvicorn", "instrumented:app") as server:
            ask_for_three_orders(server.port)
            traces = traces_of(collector, server.program, len(EXPECTED_TREES))
            assert_traces_are_complete(traces)
            arrived[implementation] = traces.structure(FOLDERS, without=OF_THE_PROCESS)
            server.program.assert_ran_on(implementation)
    assert arrived["otel-rs"] == arrived["stock"]
