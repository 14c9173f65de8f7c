"""The pytest fixtures, as a project that uses them has them: each test file is run by a pytest of its own."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from pathlib import Path

import pytest
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind

from otel_rs.testing import Node, Point, Receiver, Telemetry, span

pytest_plugins = ["pytester"]

tracer = trace.get_tracer("shop")  # as modules keep it, before there is a provider
counter = metrics.get_meter("shop").create_counter("orders")


def checkout(name: str = "checkout") -> None:
    with tracer.start_as_current_span(name, kind=SpanKind.SERVER, attributes={"user": 7}) as root:
        with tracer.start_as_current_span("pay", attributes={"card": "x", "sum": 3}):
            pass
        with tracer.start_as_current_span("INSERT"):
            root.add_event("stored")
    counter.add(1, {"kind": "book"})


@pytest.mark.parametrize("_", range(2))
def test_spans_are_a_tree_of_this_test_alone(telemetry: Telemetry, _: int) -> None:
    checkout()
    assert telemetry.traces() == [
        span(
            "checkout",
            span("INSERT"),
            span("pay", attributes={"sum": 3}),
            kind="server",
            status="unset",
            attributes={"user": 7},
            events=["stored"],
        )
    ]
    assert [each.name for each in telemetry.spans()] == ["pay", "INSERT", "checkout"]


def test_it_shows_how_much_there_is(telemetry: Telemetry) -> None:
    checkout()
    logging.getLogger("shop").warning("low stock")
    assert repr(telemetry) == f"Telemetry(spans=3, logs={len(telemetry.logs())})"
    assert repr(Telemetry()) == "Telemetry()"


@pytest.mark.parametrize("_", range(2))
def test_metrics_are_of_this_test_alone(telemetry: Telemetry, _: int) -> None:
    checkout()
    checkout()
    assert telemetry.metrics() == {"orders": [Point({"kind": "book"}, 2)]}


def test_what_is_not_as_expected_is_not_equal(telemetry: Telemetry) -> None:
    checkout()
    (tree,) = telemetry.traces()
    children = (span("pay"), span("INSERT"))
    assert tree == span("checkout", *children)
    for other in (
        span("checkout"),
        span("checkout", span("pay")),
        span("checkout", span("pay"), span("pay")),
        span("checkout", *children, span("pay")),
        span("check", *children),
        span("checkout", *children, kind="client"),
        span("checkout", *children, attributes={"user": 8}),
        span("checkout", *children, attributes={"users": 7}),
        span("checkout", *children, events=[]),
        span("checkout", *children, logs=["x"]),
    ):
        assert tree != other


def test_logs_are_under_their_spans(telemetry: Telemetry) -> None:
    from opentelemetry._logs import get_logger

    logger = get_logger("shop")
    with tracer.start_as_current_span("root"):
        logger.emit(body="inside", severity_text="INFO")
    logger.emit(body="outside", attributes={"a": 1})
    assert telemetry.traces() == [span("root", logs=["inside"])]
    assert [log.body for log in telemetry.logs()] == ["inside", "outside"]
    assert telemetry.logs()[1].attributes == {"a": 1}


def test_threads_and_tasks(telemetry: Telemetry) -> None:
    async def task(name: str) -> None:
        with tracer.start_as_current_span(name):
            await asyncio.sleep(0)

    async def main() -> None:
        with tracer.start_as_current_span("tasks"):
            await asyncio.gather(*(task(f"task {number}") for number in range(3)))

    asyncio.run(main())
    with tracer.start_as_current_span("threads"):
        here = context.get_current()

        def work() -> None:
            context.attach(here)
            tracer.start_span("work").end()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    tasks = [span(f"task {number}") for number in (2, 0, 1)]
    assert telemetry.traces() == [span("tasks", *tasks), span("threads", *[span("work")] * 4)]


DIFFERENT = """
from opentelemetry import trace
from otel_rs.testing import span

def test_shop(telemetry):
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("checkout", attributes={"user": 7, "secret": 1}):
        tracer.start_span("pay").end()
    assert telemetry.traces() == [span("checkout", span("pai"), attributes={"user": 8})]
"""


def test_a_difference_is_readable(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(DIFFERENT)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*the spans are not as expected: - is missing, + was not expected",
            "*- checkout user=8",
            "*+ checkout user=7",
            "*-   pai",
            "*+   pay",
        ]
    )
    assert "secret" not in "\n".join(line for line in result.outlines if line.startswith("E"))


MANY = """
import pytest
from opentelemetry import trace
from otel_rs.testing import span

@pytest.mark.parametrize("number", range(20))
def test_one(telemetry, number):
    trace.get_tracer("shop").start_span(f"span {number}").end()
    assert telemetry.traces() == [span(f"span {number}")]
"""


def test_under_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(MANY)
    pytester.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider").assert_outcomes(passed=20)


def test_a_test_without_the_fixtures_imports_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_it(): assert not {'otel_rs._native', 'otel_rs.testing.memory'} & set(sys.modules)"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


SENDS = """
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger
with trace.get_tracer("shop").start_as_current_span("checkout", attributes={"list": [1, 2], "user": 7}):
    get_logger("shop").emit(body="inside")
    metrics.get_meter("shop").create_counter("orders").add(3)
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_a_receiver_takes_what_a_program_sends(otlp_receiver: Receiver, protocol: str) -> None:
    import os
    import subprocess
    import sys

    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        **otlp_receiver.environment(protocol),
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
    }
    command = [sys.executable, "-m", "otel_rs", "run", sys.executable, "-c", SENDS]
    subprocess.run(command, env=variables, check=True, timeout=60)
    otlp_receiver.wait_for(spans=1, logs=1, metrics=1)
    attributes = {"list": (1, 2), "user": 7}
    assert otlp_receiver.traces() == [span("checkout", attributes=attributes, logs=["inside"])]
    assert otlp_receiver.metrics()["orders"] == [Point({}, 3)]
    assert len(otlp_receiver.requests()) == 3


def test_a_receiver_that_waits_in_vain_says_what_came(otlp_receiver: Receiver) -> None:
    with pytest.raises(TimeoutError, match=r"1 spans, 0 log records and 0 metrics wanted, 0, 0 and 0 came"):
        otlp_receiver.wait_for(spans=1, seconds=0.05)


def test_a_tree_shows_itself() -> None:
    tree = Node("GET /", "server", "error", {"b": 1, "a": "x"}, ["e"], [], [Node("SELECT")])
    assert str(tree) == "GET / kind=server status=error a='x' b=1 event='e'\n  SELECT"
    logging.getLogger(__name__).debug("%s", tree)


def test_the_page_of_the_docs(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    (code,) = re.findall(r"```python[^\n]*\n(.*?)```", page, re.DOTALL)
    pytester.makepyfile(code)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
