"""What a program sends has arrived at a real OpenTelemetry Collector when the program has ended."""

import sys
from collections import Counter
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("thousand_spans.py")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("implementation", ["stock", "otel_rs"])
def test_all_spans_of_a_program_arrive_when_it_ends(collector, start_program, implementation, protocol):
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol), "OTEL_SERVICE_NAME": "thousand"}

    with start_program(sys.executable, PROGRAM, implementation, protocol, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        received = collector.wait_for_spans(program.run, 1000, program)
        program.assert_ran_on(implementation)

    spans = [span for item in received for scope_spans in item["scopeSpans"] for span in scope_spans["spans"]]
    assert Counter(span["name"] for span in spans) == {"parent": 10, "child": 990}
    assert len({span["spanId"] for span in spans}) == 1000

    by_trace: dict[str, list[dict]] = {}
    for span in spans:
        by_trace.setdefault(span["traceId"], []).append(span)
    assert len(by_trace) == 10
    for members in by_trace.values():
        (parent,) = [span for span in members if span["name"] == "parent"]
        children = [span for span in members if span["name"] == "child"]
        assert not parent.get("parentSpanId")
        assert {span["parentSpanId"] for span in children} == {parent["spanId"]}
        numbers = [a["value"]["intValue"] for span in children for a in span["attributes"] if a["key"] == "number"]
        assert sorted(map(int, numbers)) == list(range(99))
