"""An OTLP receiver in the test's own process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from otel_rs._native import OtlpReceiver
from otel_rs.testing.recorded import LogLine, Node, Point, Record, trees

_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES = {0: "unset", 1: "ok", 2: "error"}


class Receiver:
    """`with Receiver() as receiver`: takes OTLP over gRPC and HTTP on free ports of the loopback interface.

    `receiver.environment()` has the variables that send a program's telemetry there.
    """

    def __init__(self) -> None:
        self._native = OtlpReceiver()
        self._requests: list[dict[str, Any]] = []

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Receiver(grpc={self.grpc_endpoint!r}, http={self.http_endpoint!r})"

    @property
    def grpc_endpoint(self) -> str:
        """For OTLP/gRPC."""
        return f"http://{self._native.grpc_address}"

    @property
    def http_endpoint(self) -> str:
        """For OTLP/HTTP, without the signals' paths."""
        return f"http://{self._native.http_address}"

    def environment(self, protocol: str = "grpc") -> dict[str, str]:
        """`OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_PROTOCOL`."""
        endpoint = self.grpc_endpoint if protocol == "grpc" else self.http_endpoint
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}

    def stop(self) -> None:
        """Answers what is under way and closes the ports."""
        self._native.stop()

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, as OTLP/JSON has it."""
        self._requests += map(json.loads, self._native.take().splitlines())
        return list(self._requests)

    def traces(self) -> list[Node]:
        """The spans so far as trees, with the log records under their spans."""
        records = [_record(span) for span in self._items("resourceSpans", "scopeSpans", "spans")]
        return trees(records, [(log.get("spanId"), _log(log)) for log in self._log_records()])

    def logs(self) -> list[LogLine]:
        """The log records so far, in the order in which they came."""
        return [_log(log) for log in self._log_records()]

    def metrics(self) -> dict[str, list[Point]]:
        """The points of the last request that had the metric."""
        return {metric["name"]: list(_points(metric)) for metric in self._metrics()}

    def wait_for(self, *, spans: int = 0, logs: int = 0, metrics: int = 0, seconds: float = 10) -> None:
        """Until so many have come: spans, log records, and metrics by their names. Raises TimeoutError."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while True:
            found = (
                sum(1 for _ in self._items("resourceSpans", "scopeSpans", "spans")),
                sum(1 for _ in self._log_records()),
                len({metric["name"] for metric in self._metrics()}),
            )
            if found[0] >= spans and found[1] >= logs and found[2] >= metrics:
                return
            if time.monotonic() > deadline:
                wanted = f"{spans} spans, {logs} log records and {metrics} metrics"
                raise TimeoutError(f"after {seconds} s: {wanted} wanted, {found[0]}, {found[1]} and {found[2]} came")
            pause.wait(0.01)

    def _log_records(self) -> Iterator[dict[str, Any]]:
        return self._items("resourceLogs", "scopeLogs", "logRecords")

    def _metrics(self) -> Iterator[dict[str, Any]]:
        return self._items("resourceMetrics", "scopeMetrics", "metrics")

    def _items(self, resources: str, scopes: str, items: str) -> Iterator[dict[str, Any]]:
        for request in self.requests():
            for of_resource in request.get(resources, ()):
                for of_scope in of_resource.get(scopes, ()):
                    yield from of_scope.get(items, ())


def _record(span: dict[str, Any]) -> Record:
    node = Node(
        span.get("name", ""),
        _KINDS.get(span.get("kind", 1), "internal"),
        _STATUSES.get(span.get("status", {}).get("code", 0), "unset"),
        _attributes(span),
        [event.get("name", "") for event in span.get("events", ())],
    )
    start = int(span.get("startTimeUnixNano", 0))
    return Record(span["traceId"], span["spanId"], span.get("parentSpanId") or None, start, node)


def _log(log: dict[str, Any]) -> LogLine:
    return LogLine(_value(log.get("body", {})), log.get("severityText") or None, _attributes(log))


def _points(metric: dict[str, Any]) -> Iterator[Point]:
    for kind in ("sum", "gauge", "histogram", "exponentialHistogram"):
        for point in metric.get(kind, {}).get("dataPoints", ()):
            if "count" in point:
                yield Point(_attributes(point), point.get("sum"), int(point["count"]))
            else:
                value = int(point["asInt"]) if "asInt" in point else point.get("asDouble")
                yield Point(_attributes(point), value)


def _attributes(of: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: _value(each.get("value", {})) for each in of.get("attributes", ())}


def _value(value: dict[str, Any]) -> Any:
    """A value of OTLP/JSON as Python has it; tuples for lists, as spans have them."""
    for kind, found in value.items():
        if kind == "intValue":
            return int(found)
        if kind == "arrayValue":
            return tuple(_value(each) for each in found.get("values", ()))
        if kind == "kvlistValue":
            return {each["key"]: _value(each.get("value", {})) for each in found.get("values", ())}
        return found
    return None
