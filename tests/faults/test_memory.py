"""Memory that the system does not give: what does not fit is dropped and counted, and the application goes on."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from ..support.receiver import Receiver
from ..support.traced_program import Ended, destination, names, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the address space cannot be limited so")

# Small things come from one heap that has some megabytes to spare, large ones from the system.
HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TOP_PAD_": "4194304", "PYTHONMALLOC": "malloc"}

LIMITED = """
import logging, resource
from opentelemetry.trace import Status, StatusCode
lines = []
class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger().addHandler(Lines())

def limit(more):
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more, resource.RLIM_INFINITY))

def leave_block(text):
    try:
        with trace.get_tracer("test").start_as_current_span("large"):
            raise ValueError(text)
    except ValueError:
        pass

LARGE = {
    "attribute": lambda span, text: span.set_attribute("large", text),
    "attributes": lambda span, text: span.set_attributes({"large": text, "small": 1}),
    "sequence": lambda span, text: span.set_attribute("large", [text[:100_000]] * (len(text) // 100_000)),
    "mapping": lambda span, text: span.set_attribute("large", {"a": {"b": text}}),
    "bytes": lambda span, text: span.set_attribute("large", text.encode()),
    "event": lambda span, text: span.add_event("event", {"large": text}),
    "name of an event": lambda span, text: span.add_event(text),
    "link": lambda span, text: span.add_link(span.get_span_context(), {"large": text}),
    "name": lambda span, text: span.update_name(text),
    "status": lambda span, text: span.set_status(Status(StatusCode.ERROR, text)),
    "exception": lambda span, text: span.record_exception(ValueError(text)),
    "block": lambda span, text: leave_block(text),
    "at the start": lambda span, text: trace.get_tracer("test").start_span("large", attributes={"large": text}).end(),
}

def go_through(tracer, flush):
    for kind in json.loads(os.environ["TEST_KINDS"]) or LARGE:
        for millions in json.loads(os.environ["TEST_MILLIONS"]):
            text = "x" * (millions * 1_000_000)
            limit(60_000_000)
            span = tracer.start_span("large")
            try:
                LARGE[kind](span, text)
            except MemoryError:  # of Python's own
                pass
            span.end()
            del text
            flush()
            tracer.start_span("small").end()
            flush()
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
"""

NATIVE = """
processor = batching()
provider = provider_of(processor, shutdown_on_exit=False)
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("test")
tracer.start_span("small").end()
assert provider.force_flush()
go_through(tracer, provider.force_flush)
tell(counts=processor.counts(), lines=lines)
"""

STOCK = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=3_600_000))
trace.set_tracer_provider(provider)
tracer = provider.get_tracer("test")
tracer.start_span("small").end()
provider.force_flush()
go_through(tracer, provider.force_flush)
"""


def limited(receiver: Receiver, kinds: list[str], millions: list[int], **environment: str) -> dict[str, Any]:
    chosen = {"TEST_KINDS": json.dumps(kinds), "TEST_MILLIONS": json.dumps(millions)}
    return {**destination(receiver), **HEAP, **chosen, **environment}


def check(receiver: Receiver, ended: Ended, large: int) -> None:
    """Nothing is lost without a trace, and nothing small is lost."""
    assert ended.code == 0, ended.stderr[-2000:]
    counts, arrived = ended.fact("counts"), names(receiver)
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    assert (counts["created"], counts["pending"]) == (done, 0)
    assert counts["created"] >= 1 + 2 * large
    assert arrived["small"] == 1 + large
    assert sum(arrived.values()) == counts["exported"]
    assert any("emory" in line for line in ended.fact("lines"))


def test_whatever_does_not_fit_into_memory_is_dropped_and_counted(http_receiver: Receiver) -> None:
    ended = run(LIMITED + NATIVE, **limited(http_receiver, [], [18, 45]))
    check(http_receiver, ended, 13 * 2)


FORMS = {
    "grpc": {"TEST_PROTOCOL": "grpc"},
    "http, gzip": {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    "http, json": {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
}


@pytest.mark.parametrize("environment", FORMS.values(), ids=FORMS)
def test_a_request_that_does_not_fit_into_memory_is_counted_as_failed_or_dropped(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> None:
    """The larger it is the earlier the step that fails: the encoding of the request, the request, the batch."""
    receiver = request.getfixturevalue("grpc_receiver" if "TEST_PROTOCOL" in environment else "http_receiver")
    sizes = [14, 18, 22, 28]
    ended = run(LIMITED + NATIVE, **limited(receiver, ["attribute"], sizes, **environment))
    check(receiver, ended, len(sizes))


def test_the_stock_sdk_lives_on_as_well(http_receiver: Receiver) -> None:
    ended = run(LIMITED + STOCK, **limited(http_receiver, ["attribute"], [9, 17, 45]))
    assert ended.code == 0, ended.stderr[-2000:]
    assert names(http_receiver)["small"] == 4
