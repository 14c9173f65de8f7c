"""Draws the pictures of docs/view.md: `python -m tests.support.screenshots`, or `make screenshots`."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from .browser import browser, until
from .viewer import post, started_web

IMAGES = Path(__file__).parents[2] / "docs/images"
MILLISECOND = 1_000_000
# The same in each run, so that a picture changes only if the page does.
START = 1_790_000_000 * 10**9
TRACE_ID = bytes(range(0x10, 0x20))

# Number, number of the parent, service, name, kind, from and to in milliseconds, attributes.
SPANS: list[tuple[int, int, str, str, int, float, float, dict[str, str]]] = [
    (1, 0, "shop", "POST /orders", Span.SPAN_KIND_SERVER, 0, 184, {"http.route": "/orders"}),
    (2, 1, "shop", "check basket", Span.SPAN_KIND_INTERNAL, 2, 31, {}),
    (3, 2, "shop", "SELECT baskets", Span.SPAN_KIND_CLIENT, 4, 27, {"db.system.name": "postgresql"}),
    (4, 1, "shop", "POST", Span.SPAN_KIND_CLIENT, 33, 150, {"server.address": "payments"}),
    (5, 4, "payments", "POST /charges", Span.SPAN_KIND_SERVER, 38, 146, {"http.route": "/charges"}),
    (6, 5, "payments", "SELECT cards", Span.SPAN_KIND_CLIENT, 41, 52, {"db.system.name": "postgresql"}),
    (
        7,
        5,
        "payments",
        "charge card",
        Span.SPAN_KIND_CLIENT,
        55,
        144,
        {"payment.provider": "acme", "payment.amount": "42.00", "error.type": "Timeout", "retries": "2"},
    ),
    (8, 1, "shop", "INSERT orders", Span.SPAN_KIND_CLIENT, 153, 168, {"db.system.name": "postgresql"}),
    (9, 1, "shop", "render", Span.SPAN_KIND_INTERNAL, 169, 182, {}),
]
RECORDS = [(7, 13, "acme did not answer, trying again"), (7, 17, "acme did not answer, giving up")]


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big") if number else b""


def trace(start: int) -> bytes:
    request = ExportTraceServiceRequest()
    for number, parent, service, name, kind, begin, end, attributes in SPANS:
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        span = resource.scope_spans.add().spans.add(
            trace_id=TRACE_ID,
            span_id=span_id(number),
            parent_span_id=span_id(parent),
            name=name,
            kind=kind,
            start_time_unix_nano=start + int(begin * MILLISECOND),
            end_time_unix_nano=start + int(end * MILLISECOND),
        )
        for key, value in attributes.items():
            span.attributes.add(key=key).value.string_value = value
        if "error.type" in attributes:
            span.status.code, span.status.message = 2, "no answer within 40 ms"
    return request.SerializeToString()


def records(start: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "payments"
    logs = resource.scope_logs.add().log_records
    for place, (span, severity, text) in enumerate(RECORDS):
        record = logs.add(trace_id=TRACE_ID, span_id=span_id(span), severity_number=severity)
        record.time_unix_nano = start + (95 + 45 * place) * MILLISECOND
        record.body.string_value = text
    return request.SerializeToString()


def main() -> None:
    for theme in ("light", "dark"):
        with started_web() as (view, page, url), browser(dark=theme == "dark", width=1180, height=820) as driver:
            post(f"{url}/v1/traces", trace(START))
            post(f"{url}/v1/logs", records(START))
            driver.get(f"{page}/#trace={TRACE_ID.hex()}")
            until(lambda driver=driver: len(driver.find_elements("css selector", "#span-list li")) == len(SPANS))
            driver.find_element("css selector", '#span-list [data-index="6"]').click()
            until(lambda driver=driver: "giving up" in driver.find_element("id", "detail").text)
            driver.save_screenshot(str(IMAGES / f"view-{theme}.png"))
            view.end()


if __name__ == "__main__":
    main()
