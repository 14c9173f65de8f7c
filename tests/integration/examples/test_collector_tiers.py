"""examples/collector: the same program sends to each arrangement of Collectors; what leaves the last one is counted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import BINARY, Collector, attributes_of
from ..program import Program
from .arrived import Traces, log_records, metric_names, traces_of
from .orders import ALL_SPANS, FAILED, ORDERS, SLOW, STOCK_FRAMES, numbers_of_orders, work, write_orders
from .running import DISTRO, IMPLEMENTATIONS, INSTRUMENT
from .tiers import AGENT, FOLDER, GATEWAY, PERSISTENT_AGENT, Tiers, tiers_in

PROTOCOLS = ["grpc", "http/protobuf"]
KEPT_PERCENT = 30
ALL_SIGNALS = Path(__file__).parents[1] / "all_signals.py"


@pytest.fixture
def tiers(collector: Collector, tmp_path: Path) -> Iterator[Tiers]:
    with tiers_in(tmp_path) as tiers:
        yield tiers


@pytest.fixture
def send(start_program: Callable[..., Any], tmp_path: Path) -> Callable[[str, str, str], Program]:
    """`send(implementation, protocol, endpoint)` runs the worker until it has sent the spans of all orders."""
    orders = tmp_path / "orders.jsonl"
    write_orders(orders)

    def send(implementation: str, protocol: str, endpoint: str) -> Program:
        settings = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        return work(start_program, orders, implementation, **settings)

    return send


def seconds_of(span: dict[str, Any]) -> float:
    return (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9


@pytest.mark.parametrize(
    "configuration", [AGENT, PERSISTENT_AGENT, GATEWAY], ids=["agent", "agent with storage", "gateway"]
)
def test_the_collector_accepts_the_configuration_as_it_is(collector, configuration):
    files = [f"--config={FOLDER / file}" for file in configuration]
    subprocess.run([BINARY, "validate", *files], check=True, capture_output=True, timeout=30)


def test_of_the_examples_orders_a_gateway_keeps_the_failed_one_the_slow_one_and_one_more(
    collector, tiers, start_program
):
    gateway = tiers(GATEWAY, collector)
    arrived = {}
    for way, first in (("direct", collector), ("gateway", gateway)):
        settings = {"OTEL_PYTHON_DISTRO": "rs", "OTEL_EXPORTER_OTLP_ENDPOINT": first.endpoint("grpc")}
        command = [INSTRUMENT, sys.executable, FOLDER / "worker.py", FOLDER / "orders.jsonl"]
        with start_program(*command, **settings) as program:
            assert program.process.wait(timeout=60) == 0, program.output()
        assert program.output() == "order 3: the card has expired"
        arrived[way] = traces_of(collector, program, {"direct": 23, "gateway": 8}[way])
    orders = {attributes_of(span)["order.number"]: span for span in arrived["direct"].named("order")}
    assert {number for number, span in orders.items() if span["status"].get("code") == 2} == {3}
    assert {number for number, span in orders.items() if seconds_of(span) > 2} == {6}
    kept = {attributes_of(span)["order.number"] for span in arrived["gateway"].named("order")}
    assert len(kept) == 3
    assert kept >= {3, 6}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("configuration", [None, AGENT], ids=["direct", "agent"])
def test_all_traces_arrive_directly_and_through_an_agent(collector, tiers, send, configuration, protocol):
    first = tiers(configuration, collector) if configuration else collector
    arrived = {}
    for implementation in IMPLEMENTATIONS:
        program = send(implementation, protocol, first.endpoint(protocol))
        traces = traces_of(collector, program, ALL_SPANS)
        assert numbers_of_orders(traces) == set(range(ORDERS))
        arrived[implementation] = traces.structure(STOCK_FRAMES)
    assert arrived["otel-rs"] == arrived["stock"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("in_two_tiers", [False, True], ids=["gateway", "agent and gateway"])
def test_a_gateway_keeps_errors_slow_traces_and_a_share_of_the_rest(collector, tiers, send, in_two_tiers, protocol):
    arrived, kept = {}, {}
    for implementation in IMPLEMENTATIONS:
        # A gateway for each: one that has decided on a trace remembers it.
        first = gateway = tiers(GATEWAY, collector, GATEWAY_KEEPS_PERCENT=str(KEPT_PERCENT))
        if in_two_tiers:
            first = tiers(AGENT, gateway)
        program = send(implementation, protocol, first.endpoint(protocol))
        # Each sends what it holds before it stops, so nothing more can come afterwards.
        first.stop()
        gateway.stop()
        collector.write_all()
        traces = Traces(collector.resource_spans(program.run))
        kept[implementation], arrived[implementation] = numbers_of_orders(traces), traces.structure(STOCK_FRAMES)
    # The share is chosen by the trace ids, which are the same in both runs.
    assert kept["otel-rs"] == kept["stock"]
    assert arrived["otel-rs"] == arrived["stock"]
    assert kept["stock"] >= FAILED | SLOW
    rest = set(range(ORDERS)) - FAILED - SLOW
    assert 0.15 < len(kept["stock"] & rest) / len(rest) < 0.45


def test_metrics_and_logs_pass_through_both_tiers(collector, tiers, start_program):
    gateway = tiers(GATEWAY, collector, GATEWAY_KEEPS_PERCENT="100")
    agent = tiers(AGENT, gateway)
    bodies = {}
    for implementation in IMPLEMENTATIONS:
        settings = {
            **DISTRO[implementation],
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": agent.endpoint("grpc"),
        }
        with start_program(INSTRUMENT, sys.executable, ALL_SIGNALS, **settings) as program:
            assert program.process.wait(timeout=60) == 0, program.output()
        program.assert_ran_on(implementation)
        (span,) = traces_of(collector, program, 1).named("span")
        records = log_records(collector, program, 10)
        assert {record["spanId"] for record in records} == {span["spanId"]}
        bodies[implementation] = [record["body"] for record in records]
        names = metric_names(collector, program, "counter", "up_and_down", "gauge", "histogram", "observed")
        assert names == {"counter", "up_and_down", "gauge", "histogram", "observed"}
    assert bodies["otel-rs"] == bodies["stock"]
    assert len(bodies["stock"]) == 10
