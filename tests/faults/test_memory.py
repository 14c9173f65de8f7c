"""Memory that the system does not give: what does not fit is dropped and counted, and the application goes on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import pytest

from ..support.interpreter import has_c_allocator
from ..support.receiver import Receiver
from ..support.traced_program import Ended, destination, names, run

pytestmark = [
    has_c_allocator,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the address space cannot be limited so"),
]

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

LINES = """
from otel_rs.exporter.otlp.http import OTLPLogExporter
from otel_rs.logs import LoggerProvider
from otel_rs.logs.export import BatchLogRecordProcessor
from otel_rs.logs.instrumentation import LoggingHandler

processor = BatchLogRecordProcessor(OTLPLogExporter(), schedule_delay_millis=3_600_000)
provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
provider.add_log_record_processor(processor)
log = logging.Logger("test")
log.addHandler(LoggingHandler(logger_provider=provider))
# What the handler cannot format it prints.
logging.raiseExceptions = False
log.info("small")
assert provider.force_flush()

def failed(text):
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("large")

LARGE = {
    "text": lambda text: log.info(text),
    "argument": lambda text: log.info("%s", text),
    "argument of half a line": lambda text: log.info("%s%s", text, text),
    "attribute": lambda text: log.info("large", extra={"large": text}),
    "mapping": lambda text: log.info("large", extra={"large": {"a": {"b": text}}}),
    "exception": failed,
    "emit": lambda text: provider.get_logger("test").emit(body=[text]),
}

for log_it in LARGE.values():
    for millions in json.loads(os.environ["TEST_MILLIONS"]):
        text = "x" * (millions * 1_000_000)
        limit(60_000_000)
        try:
            log_it(text)
        except MemoryError:  # of Python's own
            pass
        del text
        provider.force_flush()
        log.info("small")
        provider.force_flush()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
tell(counts=processor.counts(), lines=lines, kinds=len(LARGE))
"""

METRICS = """
from opentelemetry.metrics import Observation
from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader

exporter = OTLPMetricExporter(**json.loads(os.environ["TEST_ARGUMENTS"]))
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
provider = MeterProvider([reader], resource=Resource({}), shutdown_on_exit=False)
meter = provider.get_meter("test")
large = [{"key": "x" * 1000 + str(number)} for number in range(json.loads(os.environ["TEST_SERIES"]))]
first = meter.create_counter("first")
if os.environ["TEST_INSTRUMENT"] == "counter":
    counter = meter.create_counter("large")
    # The memory of the first request is kept for the next one: it is small.
    measure = lambda more: [counter.add(1, attributes) for attributes in large[: None if more else 1]]
else:
    observations = [Observation(1, attributes) for attributes in large]
    meter.create_observable_gauge("large", [lambda options: observations])
    measure = lambda more: None
last = meter.create_counter("last")

for more in (0, 12_000_000, 1_000_000_000):
    first.add(1)
    measure(more)
    last.add(1)
    if more:
        limit(more)
    provider.force_flush()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    counts = exporter.counts()
    tell(exported=counts["exported"], failed=counts["failed"])
tell(lines=lines)
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


def check(receiver: Receiver, ended: Ended, large: int, arrived: Counter[str] | None = None) -> None:
    """Nothing is lost without a trace, and nothing small is lost."""
    assert ended.code == 0, ended.stderr[-2000:]
    counts, arrived = ended.fact("counts"), arrived or names(receiver)
    done = sum(counts[part] for part in ("exported", "rejected", "failed", "dropped"))
    assert (counts["created"], counts["pending"]) == (done, 0)
    assert counts["created"] >= 1 + 2 * large
    assert arrived["small"] == 1 + large
    assert sum(arrived.values()) == counts["exported"]
    assert any("emory" in line for line in ended.fact("lines"))


def test_whatever_does_not_fit_into_memory_is_dropped_and_counted(http_receiver: Receiver) -> None:
    ended = run(LIMITED + NATIVE, **limited(http_receiver, [], [18, 45]))
    check(http_receiver, ended, 13 * 2)


def test_log_records_that_do_not_fit_into_memory_are_dropped_and_counted(http_receiver: Receiver) -> None:
    sizes = [18, 45]
    logs = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": http_receiver.endpoint_of("logs")}
    ended = run(LIMITED + LINES, **limited(http_receiver, [], sizes, **logs))
    arrived = Counter(record.body.string_value[:5] for record in http_receiver.log_records())
    check(http_receiver, ended, ended.fact("kinds") * len(sizes), arrived)


FORMS = {
    "grpc": {"TEST_PROTOCOL": "grpc"},
    "http, gzip": {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    "http, json": {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
}


@pytest.mark.parametrize("environment", FORMS.values(), ids=FORMS)
def test_a_request_that_does_not_fit_into_memory_is_counted_as_failed_or_dropped(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> None:
    """The larger it is the earlier the step that fails: the encoding of the request, or the span itself."""
    receiver = request.getfixturevalue("grpc_receiver" if "TEST_PROTOCOL" in environment else "http_receiver")
    sizes = [14, 22, 45, 56, 70]
    ended = run(LIMITED + NATIVE, **limited(receiver, ["attribute"], sizes, **environment))
    check(receiver, ended, len(sizes))


@pytest.mark.parametrize(
    ("instrument", "arguments"),
    [("counter", {}), ("counter", {"max_export_batch_size": 1000}), ("gauge", {})],
    ids=["one request", "several requests", "observed"],
)
def test_a_request_of_metrics_that_does_not_fit_into_memory_counts_as_failed(
    http_receiver: Receiver, instrument: str, arguments: dict[str, int]
) -> None:
    """The deltas that were collected for it are lost; what was not collected yet arrives with the next one."""
    series = 20_000
    settings = {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": http_receiver.endpoint_of("metrics"),
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "TEST_INSTRUMENT": instrument,
        "TEST_ARGUMENTS": json.dumps(arguments),
        "TEST_SERIES": str(series),
    }
    ended = run(LIMITED + METRICS, **limited(http_receiver, [], [], **settings))
    assert ended.code == 0, ended.stderr[-2000:]
    arrived: Counter[str] = Counter()
    for metric in http_receiver.metrics():
        points = metric.sum.data_points or metric.gauge.data_points
        arrived[metric.name] += sum(point.as_int for point in points)
    # What is observed is collected by itself.
    lost_first, large = (1, 1 + series) if instrument == "counter" else (0, 2 * series)
    assert arrived == {"first": 3 - lost_first, "large": large, "last": 3}
    assert ended.fact("failed") == lost_first + series
    assert any("emory" in line for line in ended.fact("lines"))


def test_the_stock_sdk_lives_on_as_well(http_receiver: Receiver) -> None:
    ended = run(LIMITED + STOCK, **limited(http_receiver, ["attribute"], [9, 17, 45]))
    assert ended.code == 0, ended.stderr[-2000:]
    assert names(http_receiver)["small"] == 4
