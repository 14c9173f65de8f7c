"""All telemetry of a program has arrived at a real OpenTelemetry Collector when the program has exited."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from .logged import Line, lines_of
from .measured import points_of, totals

PROGRAM = Path(__file__).with_name("thousand_spans.py")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("implementation", ["stock", "otel_rs"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_what_a_program_records_arrives_when_it_ends(collector, start_program, implementation, protocol, temporality):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "OTEL_METRIC_EXPORT_INTERVAL": "5",
        "OTEL_SERVICE_NAME": "thousand",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
    }

    with start_program(sys.executable, PROGRAM, implementation, protocol, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        received = collector.wait_for_spans(program.run, 1000, program)
        collector.write_all()
        metrics = collector.received(program.run, "resourceMetrics")
        logs = collector.received(program.run, "resourceLogs")
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
    measured = totals(list(points_of(metrics, "thousand_spans")))
    assert {(metric, *attributes): value for (_, metric, attributes), value in measured.items()} == {
        ("spans", ("name", "parent")): (10,),
        ("spans", ("name", "child")): (990,),
        ("level",): (10,),
        ("traces",): (10, 45),
        ("observed",): (9,),
    }
    assert lines_of(logs, "thousand_spans") == Counter(
        Line(program.process.pid, f"child {number}", trace, span["spanId"])
        for trace, members in by_trace.items()
        for span in members
        if span["name"] == "parent"
        for number in range(99)
    )


ALL_SIGNALS = Path(__file__).with_name("all_signals.py")
INSTRUMENT = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
@pytest.mark.parametrize("histograms", ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"])
def test_all_signals_of_a_program_arrive_when_it_ends(collector, start_program, protocol, histograms):
    temporality = "delta" if histograms.startswith("explicit") else "cumulative"
    environment = {
        "OTEL_PYTHON_DISTRO": "rs",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint(protocol),
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": histograms,
        "OTEL_METRICS_EXEMPLAR_FILTER": "always_on",
    }
    command = (sys.executable, "-c", INSTRUMENT, sys.executable, ALL_SIGNALS)
    with start_program(*command, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        collector.wait_for_spans(program.run, 1, program)
        metrics = collector.wait_for(program.run, "resourceMetrics", program)
        logs = collector.wait_for(program.run, "resourceLogs", program)
        program.assert_ran_on("otel_rs")

    (span,) = [
        span
        for item in collector.resource_spans(program.run)
        for scope in item["scopeSpans"]
        for span in scope["spans"]
    ]
    (scope,) = [scope for item in metrics for scope in item["scopeMetrics"] if scope["scope"]["name"] == "all_signals"]
    assert (scope["scope"]["version"], scope["schemaUrl"]) == ("1.0", "https://example.com/schema")
    by_name = {metric["name"]: metric for metric in scope["metrics"]}
    assert set(by_name) == {"counter", "up_and_down", "gauge", "histogram", "observed"}
    counter = by_name["counter"]["sum"]
    assert (counter["aggregationTemporality"], counter["isMonotonic"]) == (1 if temporality == "delta" else 2, True)
    assert sorted(int(point["asInt"]) for point in counter["dataPoints"]) == [20, 25]
    assert counter["dataPoints"][0]["exemplars"][0]["traceId"] == span["traceId"]
    assert sorted(point["asDouble"] for point in by_name["up_and_down"]["sum"]["dataPoints"]) == [-6.25, -5.0]
    assert [int(point["asInt"]) for point in by_name["observed"]["sum"]["dataPoints"]] == [9]
    assert sorted(point["asDouble"] for point in by_name["gauge"]["gauge"]["dataPoints"]) == [4.0, 4.5]
    kind = "histogram" if histograms.startswith("explicit") else "exponentialHistogram"
    points = by_name["histogram"][kind]["dataPoints"]
    assert sorted((int(point["count"]), point["sum"], point["max"]) for point in points) == [(5, 200, 80), (5, 250, 90)]

    (scope,) = [scope for item in logs for scope in item["scopeLogs"] if scope["scope"]["name"] == "all_signals"]
    assert (scope["scope"]["version"], scope["schemaUrl"]) == ("1.0", "https://example.com/schema")
    assert len(scope["logRecords"]) == 10
    for number, record in enumerate(scope["logRecords"]):
        assert (record["severityNumber"], record["severityText"], record["eventName"]) == (13, "WARN", "numbered")
        assert (record["traceId"], record["spanId"]) == (span["traceId"], span["spanId"])
        first, second = record["body"]["kvlistValue"]["values"]
        assert first == {"key": "number", "value": {"intValue": str(number)}}
        assert len(second["value"]["arrayValue"]["values"]) == 4
