"""What the Collector received from an example, in a form that is the same in each run of the same program."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..otelcol import Collector, attributes_of
from ..program import Program, wait_until

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}

# Attributes whose values differ in each run, whoever sends them.
DIFFERENT_IN_EACH_RUN = {"process.pid", "service.instance.id", "test.run", "thread.id", "code.line.number"}


class Traces:
    """The spans of one program, each with its path: the names from the root of its trace to itself."""

    def __init__(self, resource_spans: list[dict[str, Any]]) -> None:
        self._spans = list(_spans_in(resource_spans))
        self._by_id = {span["spanId"]: span for span in self._spans}

    def __len__(self) -> int:
        return len(self._spans)

    def ids(self) -> list[str]:
        return [span["spanId"] for span in self._spans]

    def trees(self) -> list[str]:
        """One line for each span, sorted: `KIND name < KIND name of its parent < ... < the root's`, and `< remote` if
        the parent of the first is not of this program."""
        return sorted(" < ".join(self._path(span)) for span in self._spans)

    def spans(self) -> list[dict[str, Any]]:
        """All spans, with their Resource under `resource` and their scope under `scope`."""
        return self._spans

    def named(self, name: str) -> list[dict[str, Any]]:
        """The spans of this name, with their Resource under `resource` and their scope under `scope`."""
        return [span for span in self._spans if span["name"] == name]

    def structure(self, *replaced: tuple[str, str], without: frozenset[str] = frozenset()) -> list[str]:
        """All that arrived as sorted JSON texts, the same in each run of the same program.

        Times and ids are left out, ports become PORT. `replaced` are pairs of a regular expression and what stands for
        it in every text; `without` are further attributes whose values are not compared, only that they are there.
        """
        return sorted(self._facts(span, replaced, without) for span in self._spans)

    def path_to(self, log_record: Mapping[str, Any]) -> list[str] | None:
        """The path of the span within which the record was made; None if it names none."""
        if not log_record.get("spanId"):
            return None
        span = self._by_id[log_record["spanId"]]
        assert log_record["traceId"] == span["traceId"]
        return self._path(span)

    def _path(self, span: Mapping[str, Any]) -> list[str]:
        own = f"{KINDS.get(span.get('kind', 0), 'UNSPECIFIED')} {span['name']}"
        parent = span.get("parentSpanId", "")
        if not parent:
            return [own]
        return [own, *(self._path(self._by_id[parent]) if parent in self._by_id else ["remote"])]

    def _facts(self, span: Mapping[str, Any], replaced: tuple[tuple[str, str], ...], without: frozenset[str]) -> str:
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        fields = {
            "path": self._path(span),
            "flags": span.get("flags", 0),
            "trace state": span.get("traceState", ""),
            "status": span.get("status", {}),
            "attributes": _comparable(attributes_of(span), without),
            "events": [
                {"name": event["name"], "attributes": _comparable(attributes_of(event), without)}
                for event in span.get("events", [])
            ],
            "links": [
                {
                    "to": self._by_id[link["spanId"]]["name"] if link["spanId"] in self._by_id else "remote",
                    "attributes": _comparable(attributes_of(link), without),
                }
                for link in span.get("links", [])
            ],
            "dropped": [span.get(f"dropped{what}Count", 0) for what in ("Attributes", "Events", "Links")],
            "scope": {**span["scope"], "attributes": attributes_of(span["scope"])},
            "resource": _comparable(attributes_of(span["resource"]), without),
        }
        return _text(fields, replaced)


def traces_of(collector: Collector, program: Program, count: int) -> Traces:
    """Waits until `count` spans of the program have arrived; there must not be more."""
    traces = Traces(collector.wait_for_spans(program.run, count, program))
    assert len(traces) == count, "\n".join(traces.trees())
    assert len(set(traces.ids())) == count, "a span arrived twice"
    return traces


def metric_names(collector: Collector, program: Program, *expected: str) -> set[str]:
    """The names of the metrics that have arrived, once the expected ones are among them."""

    def names() -> set[str]:
        return {
            metric["name"]
            for item in collector.received(program.run, "resourceMetrics")
            for scope in item["scopeMetrics"]
            for metric in scope["metrics"]
        }

    wait_until(lambda: set(expected) <= names(), lambda: f"metrics: {names()}\n{program.output()}")
    return names()


def log_structure(
    records: list[dict[str, Any]], traces: Traces, *replaced: tuple[str, str], without: frozenset[str] = frozenset()
) -> list[str]:
    """All that arrived as sorted JSON texts, as those of `Traces.structure`, with the path of each record's span."""
    return sorted(_facts_of_log(record, traces, replaced, without) for record in records)


def log_records(collector: Collector, program: Program, count: int) -> list[dict[str, Any]]:
    """Waits until `count` log records have arrived; there must not be more.

    Returns each with its Resource under `resource` and its scope under `scope`.
    """

    def records() -> list[dict[str, Any]]:
        return [
            {**record, "resource": item["resource"], "scope": scope.get("scope", {})}
            for item in collector.received(program.run, "resourceLogs")
            for scope in item["scopeLogs"]
            for record in scope["logRecords"]
        ]

    wait_until(lambda: len(records()) >= count, lambda: f"{len(records())} of {count} records\n{program.output()}")
    arrived = records()
    assert len(arrived) == count, "\n".join(str(record.get("body")) for record in arrived)
    return arrived


def _facts_of_log(
    record: Mapping[str, Any], traces: Traces, replaced: tuple[tuple[str, str], ...], without: frozenset[str]
) -> str:
    body = json.dumps(record.get("body"), sort_keys=True)
    fields = {
        "span": traces.path_to(record),
        "flags": record.get("flags", 0),
        "severity": (record.get("severityNumber"), record.get("severityText")),
        "event": record.get("eventName"),
        "body": re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", re.sub(r"\d\d/\w+/\d{4} [\d:]{8}", "TIME", body)),
        "attributes": _comparable(attributes_of(record), without),
        "dropped": record.get("droppedAttributesCount", 0),
        "scope": {**record["scope"], "attributes": attributes_of(record["scope"])},
        "resource": _comparable(attributes_of(record["resource"]), without),
    }
    return _text(fields, replaced)


def _spans_in(resource_spans: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in resource_spans:
        for scope_spans in item["scopeSpans"]:
            for span in scope_spans["spans"]:
                yield {**span, "resource": item["resource"], "scope": scope_spans.get("scope", {})}


def _text(fields: Mapping[str, Any], replaced: tuple[tuple[str, str], ...]) -> str:
    text = json.dumps(fields, sort_keys=True)
    for expression, word in replaced:
        text = re.sub(expression, word, text)
    return text


def _comparable(attributes: Mapping[str, Any], without: frozenset[str]) -> dict[str, str]:
    return {
        key: "DIFFERS"
        if key in DIFFERENT_IN_EACH_RUN or key in without
        else "PORT"
        if key.endswith(".port")
        else re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", json.dumps(value, sort_keys=True))
        for key, value in attributes.items()
    }
