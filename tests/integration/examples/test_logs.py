"""Log lines within spans, sent by opentelemetry-instrument and by the program, as `examples/logs` says."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import Collector, attributes_of
from ..program import Program
from .arrived import Traces, log_records, log_structure, traces_of
from .running import BIN, DISTRO, INSTRUMENT, example

HANDLER = "from opentelemetry.instrumentation.logging.handler import LoggingHandler\n"
HANDLER_OF_THE_SDK = "from opentelemetry.sdk._logs import LoggingHandler\n"

LINES = [
    ("DEBUG", "An order is read."),
    ("INFO", "An order is accepted."),
    ("WARN", "A payment is late."),
    ("ERROR", "A payment is refused."),
    ("ERROR", "A line with an attribute of its own."),
    ("ERROR", "A line within a span."),
]


def ended(start_program: Callable[..., Any], *command: Any, **environment: str) -> Program:
    with start_program(*command, **environment) as program:
        assert program.process.wait(timeout=60) == 0, program.output()
        return program


@pytest.mark.parametrize("enabled", [{}, {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}], ids=str)
def test_automatic(
    collector: Collector, start_program: Callable[..., Any], tmp_path: Path, enabled: dict[str, str]
) -> None:
    """The command of the document's link, with the Collector's endpoint and the distro."""

    def sent_by(implementation: str) -> list[list[str]]:
        folder = example("logs", "otel-rs", tmp_path / implementation)
        options = (
            "--traces_exporter console,otlp --metrics_exporter console,otlp --logs_exporter console,otlp "
            "--service_name python-logs-example"
        )
        program = ended(
            start_program,
            *(INSTRUMENT, *options.split(), "python", folder / "automatic.py"),
            **DISTRO[implementation],
            **enabled,
            PATH=f"{BIN}:{os.environ['PATH']}",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint("grpc"),
        )
        traces = traces_of(collector, program, 1)
        assert traces.trees() == ["INTERNAL foo"]
        (span,) = traces.named("foo")
        assert [event["name"] for event in span["events"]] == ["This is a span event"]
        records = log_records(collector, program, 1 + len(enabled))
        (record,) = (record for record in records if record["body"]["stringValue"] == "This is a log message")
        assert (record["traceId"], record["spanId"]) == (span["traceId"], span["spanId"])
        assert f'"trace_id": "0x{span["traceId"]}"' in program.output()
        program.assert_ran_on(implementation)
        return [traces.structure(), log_structure(records, traces, (re.escape(str(tmp_path)) + "/[^/]*", "FOLDER"))]

    assert sent_by("otel-rs") == sent_by("stock")


@pytest.mark.parametrize("handler", [HANDLER, HANDLER_OF_THE_SDK], ids=["handler of the package", "handler of the SDK"])
def test_manual(collector: Collector, start_program: Callable[..., Any], tmp_path: Path, handler: str) -> None:
    def sent_by(implementation: str) -> list[str]:
        source = example("logs", implementation, tmp_path) / "manual.py"
        text = source.read_text()
        assert HANDLER in text
        source.write_text(text.replace(HANDLER, handler))
        program = ended(start_program, sys.executable, source, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint("grpc"))
        records = sorted(log_records(collector, program, len(LINES)), key=lambda record: int(record["timeUnixNano"]))
        assert [(record["severityText"], record["body"]["stringValue"]) for record in records] == LINES
        assert attributes_of(records[4])["user_id"] == "user-123"
        for record in records[:-1]:
            assert not record.get("spanId")
        ids = re.search(r'"trace_id": "0x(\w+)",\s+"span_id": "0x(\w+)"', program.output())
        assert ids
        assert (records[-1]["traceId"], records[-1]["spanId"]) == ids.groups()
        service = attributes_of(records[0]["resource"])
        assert (service["service.name"], service["service.instance.id"]) == ("shoppingcart", "instance-12")
        program.assert_ran_on(implementation)
        # The program's spans go to the terminal alone.
        span = {"traceId": ids[1], "spanId": ids[2], "name": "foo", "kind": 1}
        traces = Traces([{"resource": {}, "scopeSpans": [{"spans": [span]}]}])
        return log_structure(records, traces, (re.escape(str(tmp_path)) + "/[^/]*", "FOLDER"))

    assert sent_by("otel-rs") == sent_by("stock")
