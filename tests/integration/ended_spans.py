"""The spans that the processes of a program ended, and a check that the Collector received exactly those, and with each
what was measured and logged of it."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .logged import Line, assert_logged
from .measured import assert_measured
from .otelcol import Collector, attributes_of
from .program import RUN_ATTRIBUTE, Program, wait_until

LAST = "last"


class EndedSpans:
    """The file to which the programs of this folder append."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ended.jsonl"

    def environment(self, protocol: str, port: int) -> dict[str, str]:
        """The environment variables for the programs."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process",
            "OTEL_BSP_SCHEDULE_DELAY": "1",
            "OTEL_BLRP_SCHEDULE_DELAY": "1",
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
            # One export at a time, so that HTTP uses one connection, too.
            "OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS": "1",
            "OTEL_RS_BLRP_MAX_CONCURRENT_EXPORTS": "1",
            "ENDED_SPANS": str(self.path),
        }

    def lines_of(self, kind: str) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def processes(self) -> set[int]:
        return {line["pid"] for line in self.lines_of("span")}

    def assert_measured(
        self, collector: Collector, program: Program, temporality: str, observed: frozenset[int] = frozenset()
    ) -> None:
        """Asserts that the programs' metrics agree with their spans to the unit."""
        ended = Counter((span["pid"], span["name"]) for span in self.lines_of("span"))
        received = collector.received(program.run, "resourceMetrics")
        assert_measured(received, "programs", ended, temporality, observed)

    def assert_logged(self, collector: Collector, program: Program) -> None:
        """Asserts that each span's line arrived once, and no other."""
        expected = (Line(span["pid"], span["name"], span["trace"], span["span"]) for span in self.lines_of("span"))
        try:
            assert_logged(collector.received(program.run, "resourceLogs"), "programs", expected)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{program.output()}") from error

    def assert_received_once(self, collector: Collector, program: Program) -> None:
        """Asserts that each span arrived once, from the process that ended it and with unique ids, and nothing else."""
        received = everything_received(collector, program)
        ended = self.lines_of("span")
        expected = Counter((span["pid"], span["name"], span["trace"], span["span"]) for span in ended)
        arrived = Counter(
            (attributes_of(item["resource"])["process.pid"], span["name"], span["traceId"], span["spanId"])
            for item, span in spans_of(received)
        )
        lost, excess = expected - arrived, arrived - expected
        assert not lost and not excess, (  # noqa: PT018
            f"lost: {_by_process(lost)}\nin excess: {_by_process(excess)}\n{program.output()}"
        )
        assert len({span["span"] for span in ended}) == len(ended), "span ids repeat"
        # The caller created the traces with several spans; spans with a parent identify them.
        roots = [span["traceId"] for _, span in spans_of(received) if not span.get("parentSpanId")]
        assert len(set(roots)) == len(roots), "trace ids repeat"

        instances: dict[int, set[str]] = {}
        for item in received:
            resource = attributes_of(item["resource"])
            instances.setdefault(resource["process.pid"], set()).add(resource["service.instance.id"])
        # A process that runs another program by exec writes a second line at its start.
        programs = Counter(line["pid"] for line in self.lines_of("child"))
        assert all(len(ids) <= max(programs[pid], 1) for pid, ids in instances.items()), f"two identities: {instances}"
        identities = Counter(id for ids in instances.values() for id in ids)
        assert set(identities.values()) == {1}, f"processes share an identity: {instances}"


def _by_process(spans: Counter) -> dict[tuple[int, str], int]:
    totals: Counter = Counter()
    for (pid, name, *_), count in spans.items():
        totals[pid, name] += count
    return dict(totals)


def spans_of(received: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for item in received:
        for scope_spans in item["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield item, span


def everything_received(collector: Collector, program: Program) -> list[dict[str, Any]]:
    """Everything received from a program that has ended. The Collector writes in the order of its answers, so a span
    sent now comes after everything received before."""
    resource = {"attributes": [{"key": RUN_ATTRIBUTE, "value": {"stringValue": program.run}}]}
    span = {"name": LAST, "traceId": "1" * 32, "spanId": "1" * 16, "startTimeUnixNano": "1", "endTimeUnixNano": "1"}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
    request = urllib.request.Request(
        collector.endpoint("http/json") + "/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as answer:
        assert answer.status == 200

    def received() -> list[dict[str, Any]] | None:
        items = collector.resource_spans(program.run)
        return items if any(span["name"] == LAST for _, span in spans_of(items)) else None

    items = wait_until(received, lambda: f"the Collector wrote nothing:\n{collector.log()}")
    return [item for item in items if all(span["name"] != LAST for _, span in spans_of([item]))]
