"""The batch processor: native exporters run on the export thread, Python exporters on a Python thread."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import context as context_api
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import BatchSpanProcessor as StockBatchSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider

from ...support.receiver import DEADLINE_SECONDS, Answer, HttpReceiver, wait_until

HOUR_MILLIS = 3_600_000


@pytest.fixture
def make_provider() -> Iterator[Callable[..., Any]]:
    made = []

    def make(*processors: Any, kind: type[Any] = TracerProvider, **arguments: Any) -> Any:
        provider = kind(shutdown_on_exit=False, **arguments)
        for processor in processors:
            provider.add_span_processor(processor)
        made.extend(processors)
        return provider

    yield make
    for processor in made:
        if isinstance(processor, BatchSpanProcessor):
            processor.shutdown(100)
        else:
            processor.shutdown()


def end_spans(provider: Any, count: int, name: str = "span") -> None:
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span(name).end()


def batches(receiver: Any) -> list[int]:
    return [
        sum(len(scope.spans) for resource in request.message.resource_spans for scope in resource.scope_spans)
        for request in receiver.requests
    ]


# --- When batches are exported ---------------------------------------------------------------------------------------


def test_a_full_batch_is_exported_at_once(receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(receiver), schedule_delay_millis=HOUR_MILLIS, max_export_batch_size=10)
    end_spans(make_provider(processor), 10)
    receiver.wait_for_spans(10)
    assert batches(receiver) == [10]


def test_a_partial_batch_is_exported_after_the_delay(receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(receiver), schedule_delay_millis=20)
    end_spans(make_provider(processor), 3)
    receiver.wait_for_spans(3)


def test_a_partial_batch_is_not_exported_before_the_delay(
    http_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    processor = BatchSpanProcessor(exporter_to(http_receiver), schedule_delay_millis=HOUR_MILLIS)
    provider = make_provider(processor)
    end_spans(provider, 3)
    assert processor.counts()["pending"] == 3
    assert http_receiver.requests == []
    assert provider.force_flush()
    assert batches(http_receiver) == [3]


def test_a_flush_sends_batches_up_to_the_maximum_size(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    processor = BatchSpanProcessor(
        exporter_to(http_receiver), max_queue_size=1000, schedule_delay_millis=HOUR_MILLIS, max_export_batch_size=100
    )
    provider = make_provider(processor)
    end_spans(provider, 250)
    assert provider.force_flush()
    assert sorted(batches(http_receiver)) == [50, 100, 100]
    assert provider.force_flush()
    assert sorted(batches(http_receiver)) == [50, 100, 100]


def test_one_export_at_a_time_keeps_the_order(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    provider = make_provider(
        BatchSpanProcessor(exporter_to(http_receiver), max_export_batch_size=16, max_concurrent_exports=1)
    )
    tracer = provider.get_tracer("test")
    for number in range(100):
        tracer.start_span(str(number)).end()
    assert provider.force_flush()
    assert [span.name for span in http_receiver.spans()] == [str(number) for number in range(100)]


def test_nothing_is_sent_when_nothing_ended(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver), schedule_delay_millis=5))
    assert provider.force_flush()
    provider.get_tracer("test").start_span("open")
    assert provider.force_flush()
    assert http_receiver.requests == []


def test_only_sampled_spans_are_exported(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    class RecordOnly(Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "RecordOnly"

    for sampler in (RecordOnly(), ALWAYS_OFF):
        processor = BatchSpanProcessor(exporter_to(http_receiver))
        provider = make_provider(processor, sampler=sampler)
        end_spans(provider, 3)
        assert provider.force_flush()
        assert processor.counts()["created"] == 0
    assert http_receiver.requests == []


# --- Nothing is lost, everything is counted --------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 8])
def test_nothing_of_100_000_spans_is_lost(receiver: Any, exporter_to: Any, make_provider: Any, threads: int) -> None:
    """The queue holds 10,000 spans. The application waits for the receiver, so that the queue never overflows."""
    processor = BatchSpanProcessor(exporter_to(receiver), max_queue_size=10_000, schedule_delay_millis=100)
    provider = make_provider(processor)
    tracer = provider.get_tracer("test")

    def work(thread: int) -> None:
        for number in range(100_000 // threads):
            if number % 500 == 0:
                wait_until(lambda: processor.counts()["pending"] < 5_000, "the receiver keeps up")
            with tracer.start_as_current_span("span") as span:
                span.set_attribute("number", thread * 1_000_000 + number)

    workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert provider.force_flush()
    spans = receiver.spans()
    assert len(spans) == 100_000
    assert len({span.span_id for span in spans}) == 100_000
    assert {span.attributes[0].value.int_value for span in spans} == {
        thread * 1_000_000 + number for thread in range(threads) for number in range(100_000 // threads)
    }
    counts = processor.counts()
    assert (counts["created"], counts["exported"], counts["dropped"], counts["pending"]) == (100_000, 100_000, 0, 0)


@pytest.mark.parametrize("concurrent", [1, 2, 3])
def test_a_full_queue_drops_and_counts_exactly(
    http_receiver: Any, exporter_to: Any, make_provider: Any, concurrent: int
) -> None:
    http_receiver.fall_silent()
    processor = BatchSpanProcessor(
        exporter_to(http_receiver),
        max_queue_size=20,
        schedule_delay_millis=HOUR_MILLIS,
        max_export_batch_size=10,
        max_concurrent_exports=concurrent,
    )
    provider = make_provider(processor)
    for batch in range(concurrent):
        end_spans(provider, 10)
        wait_until(lambda expected=batch + 1: len(http_receiver.requests) == expected, "the batch is being exported")
    end_spans(provider, 35)
    under_way = 10 * concurrent
    assert processor.counts() == {
        "created": under_way + 35,
        "exported": 0,
        "rejected": 0,
        "failed": 0,
        "dropped": 15,
        "pending": under_way + 20,
        "in_flight": under_way,
    }


def test_a_full_queue_drops_by_bytes(
    http_receiver: Any, exporter_to: Any, make_provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RS_BSP_MAX_QUEUE_BYTES", "10000")
    processor = BatchSpanProcessor(exporter_to(http_receiver), schedule_delay_millis=HOUR_MILLIS)
    provider = make_provider(processor)
    tracer = provider.get_tracer("test")
    for _ in range(20):
        tracer.start_span("span", attributes={"large": "x" * 1000}).end()
    counts = processor.counts()
    assert counts["created"] == 20
    assert 5 <= counts["pending"] <= 9
    assert counts["dropped"] == 20 - counts["pending"]
    assert provider.force_flush()
    assert len(http_receiver.spans()) == counts["pending"]


@pytest.mark.parametrize("value", ["", "0", "-1", "many", "1.5"])
@pytest.mark.parametrize(
    "variable",
    ["OTEL_RS_BSP_MAX_QUEUE_BYTES", "OTEL_RS_EXPORTER_MAX_REQUEST_BYTES", "OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS"],
)
def test_an_invalid_limit_is_logged_and_ignored(
    http_receiver: Any, exporter_to: Any, make_provider: Any, monkeypatch: Any, caplog: Any, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver)))
    assert (f"{variable} is {value!r}; accepted: a whole number" in caplog.text) == bool(value)
    end_spans(provider, 3)
    assert provider.force_flush()
    assert len(http_receiver.spans()) == 3


def test_the_largest_limits_are_accepted(
    http_receiver: Any, exporter_to: Any, make_provider: Any, monkeypatch: Any, caplog: Any
) -> None:
    for variable in (
        "OTEL_RS_BSP_MAX_QUEUE_BYTES",
        "OTEL_RS_EXPORTER_MAX_REQUEST_BYTES",
        "OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS",
    ):
        monkeypatch.setenv(variable, "1" + "0" * 40)
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver)))
    end_spans(provider, 3)
    assert provider.force_flush()
    assert (len(http_receiver.spans()), caplog.text) == (3, "")


def test_counts_add_up_at_any_time(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    http_receiver.answers = [Answer(400), Answer(200), Answer(400)] * 5
    processor = BatchSpanProcessor(
        exporter_to(http_receiver), max_queue_size=50, schedule_delay_millis=1, max_export_batch_size=10
    )
    provider = make_provider(processor)
    tracer = provider.get_tracer("test")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            tracer.start_span("span").end()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(200):
            counts = processor.counts()
            parts = [counts[part] for part in ("exported", "rejected", "failed", "dropped", "pending")]
            assert counts["created"] == sum(parts)
            assert counts["pending"] <= 50 + 2 * 10
    finally:
        stop.set()
        for worker in workers:
            worker.join(DEADLINE_SECONDS)
    assert provider.force_flush()
    counts = processor.counts()
    assert counts["pending"] == 0
    assert counts["exported"] + counts["failed"] == len(http_receiver.spans())


def test_partial_success_counts_the_rejected_spans(
    http_receiver: Any, exporter_to: Any, make_provider: Any, caplog: Any
) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="two were bad")
    http_receiver.answers = [Answer(200, body=ExportTraceServiceResponse(partial_success=partial).SerializeToString())]
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    provider = make_provider(processor)
    end_spans(provider, 5)
    assert provider.force_flush()
    counts = processor.counts()
    assert (counts["exported"], counts["rejected"], counts["failed"]) == (3, 2, 0)


# --- Deadlines -------------------------------------------------------------------------------------------------------


def test_force_flush_keeps_its_deadline_with_a_receiver_that_never_answers(
    receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    receiver.fall_silent()
    provider = make_provider(BatchSpanProcessor(exporter_to(receiver)))
    end_spans(provider, 1)
    started = time.monotonic()
    assert provider.force_flush(200) is False
    assert 0.1 < time.monotonic() - started < 5


def test_shutdown_keeps_its_deadline_with_a_receiver_that_never_answers(receiver: Any, exporter_to: Any) -> None:
    receiver.fall_silent()
    processor = BatchSpanProcessor(exporter_to(receiver))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider, 5)
    started = time.monotonic()
    processor.shutdown(200)
    assert 0.1 < time.monotonic() - started < 5
    counts = wait_until(lambda: (counts := processor.counts())["pending"] == 0 and counts, "nothing is pending")
    assert counts["failed"] + counts["dropped"] == 5


def test_a_batch_fails_after_the_export_timeout(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    http_receiver.fall_silent()
    processor = BatchSpanProcessor(exporter_to(http_receiver), export_timeout_millis=50)
    provider = make_provider(processor)
    end_spans(provider, 2)
    assert provider.force_flush(10_000)
    assert processor.counts()["failed"] == 2


def test_other_threads_run_while_one_waits_for_a_flush(
    http_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    http_receiver.fall_silent()
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver)))
    end_spans(provider, 1)
    flushing = threading.Thread(target=provider.force_flush, args=(500,))
    flushing.start()
    turns = 0
    while flushing.is_alive() and turns < 1_000:
        turns += 1
    assert turns == 1_000
    flushing.join(DEADLINE_SECONDS)


def test_end_does_not_wait_for_a_receiver_that_never_answers(
    http_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    http_receiver.fall_silent()
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver), max_queue_size=10, max_export_batch_size=5))
    started = time.monotonic()
    end_spans(provider, 1_000)
    assert time.monotonic() - started < 5


def test_an_interrupt_ends_a_flush(tmp_path: Any, http_receiver: Any) -> None:
    http_receiver.fall_silent()
    program = """
import _thread, sys, threading, time
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1])))
provider.get_tracer("t").start_span("s").end()
threading.Timer(0.3, _thread.interrupt_main).start()
try:
    provider.force_flush(60_000)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, http_receiver.endpoint], capture_output=True, text=True, timeout=20
    )
    assert done.stdout == "interrupted\n", done.stderr


# --- Shutdown --------------------------------------------------------------------------------------------------------


def test_shutdown_exports_queued_spans_and_later_spans_are_dropped(receiver: Any, exporter_to: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(receiver), schedule_delay_millis=HOUR_MILLIS)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider, 3, "before")
    provider.shutdown()
    end_spans(provider, 2, "after")
    assert provider.force_flush() is False
    processor.shutdown()
    assert Counter(span.name for span in receiver.spans()) == {"before": 3}
    counts = processor.counts()
    assert (counts["exported"], counts["dropped"], counts["pending"]) == (3, 2, 0)


def test_many_threads_may_shut_down_at_once(http_receiver: Any, exporter_to: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider, 10)
    threads = [threading.Thread(target=provider.shutdown) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()
    assert len(http_receiver.spans()) == 10


def test_a_processor_without_references_delivers_and_is_collected(http_receiver: Any, exporter_to: Any) -> None:
    processor = BatchSpanProcessor(exporter_to(http_receiver), schedule_delay_millis=HOUR_MILLIS)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    end_spans(provider, 3)
    gone = weakref.ref(processor), weakref.ref(provider)
    del processor, provider
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    http_receiver.wait_for_spans(3)


EXIT = """
import sys, threading
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.{protocol} import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1])))
tracer = provider.get_tracer("t")
for _ in range(700):
    tracer.start_span("main").end()
{ending}
"""

ENDINGS = {
    "end of the program": "",
    "sys.exit": "sys.exit(0)",
    "an exception": "raise SystemExit('x') from ValueError()",
    "a thread outlives the main one": """
go = threading.Event()
threading.Thread(target=lambda: (go.wait(0.2), tracer.start_span("late").end())).start()""",
    "a daemon thread that goes on making spans": """
def forever():
    while True:
        tracer.start_span("daemon").end()
threading.Thread(target=forever, daemon=True).start()""",
    "a span that is open and current": """
keep = tracer.start_as_current_span("open")
keep.__enter__()""",
    "a span ended by a destructor at exit": """
class Last:
    def __del__(self):
        span.end()
span = tracer.start_span("last")
last = Last()""",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_everything_is_delivered_at_exit(receiver: Any, ending: str) -> None:
    program = EXIT.format(protocol=receiver.protocol, ending=ending)
    done = subprocess.run(
        [sys.executable, "-c", program, receiver.endpoint], capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode in (0, 1), done
    assert [line for line in done.stderr.splitlines() if "dropping spans" not in line] in ([], ["x"])
    assert Counter(span.name for span in receiver.spans())["main"] == 700


def test_exit_without_a_receiver_is_prompt_and_logs_one_line() -> None:
    program = EXIT.format(protocol="http", ending="")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, "http://127.0.0.1:1/v1/traces"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert time.monotonic() - started < 15
    assert len(done.stderr.splitlines()) <= 1, done.stderr


# --- Log lines -------------------------------------------------------------------------------------------------------


PROGRAM_ONE_WARNING = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.WARNING)
from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter
provider = TracerProvider(shutdown_on_exit=False)
exporter = OTLPSpanExporter(sys.argv[1], timeout=0.2, headers={"authorization": "Bearer s3cret"})
processor = BatchSpanProcessor(exporter, max_queue_size=10, schedule_delay_millis=3_600_000, max_export_batch_size=10)
provider.add_span_processor(processor)
tracer = provider.get_tracer("t")
for _ in range(5):
    for _ in range(1000):
        tracer.start_span("s").end()
    provider.force_flush(5_000)
tracer.start_span("s").end()
"""


def test_a_full_queue_and_failing_exports_log_one_line_each(http_receiver: Any) -> None:
    http_receiver.answers = [Answer(400, body=b"Bearer s3cret is no good")] * 100
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM_ONE_WARNING, http_receiver.endpoint],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert len(lines) == 2, lines
    assert len([line for line in lines if line.startswith("WARNING otel_rs.export Queue full")]) == 1
    assert len([line for line in lines if line.startswith("ERROR otel_rs.export Failed to export")]) == 1
    assert "s3cret" not in done.stderr


# --- Arguments -------------------------------------------------------------------------------------------------------

INVALID = {
    "max_queue_size": [0, -1],
    "schedule_delay_millis": [0, -1, -0.5],
    "max_export_batch_size": [0, -1, 2049],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in INVALID.items() for value in values])
def test_invalid_sizes_raise_upstreams_error(http_receiver: Any, exporter_to: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name) as expected:
        StockBatchSpanProcessor(InMemorySpanExporter(), **{name: value})
    for exporter in (exporter_to(http_receiver), InMemorySpanExporter()):
        with pytest.raises(ValueError, match=name) as ours:
            BatchSpanProcessor(exporter, **{name: value})
        assert str(ours.value) == str(expected.value)


@pytest.mark.parametrize("value", [0, -1])
def test_an_invalid_number_of_concurrent_exports_raises(http_receiver: Any, exporter_to: Any, value: int) -> None:
    with pytest.raises(ValueError, match="max_concurrent_exports must be a positive integer"):
        BatchSpanProcessor(exporter_to(http_receiver), max_concurrent_exports=value)


def test_sizes_come_from_the_environment(
    http_receiver: Any, exporter_to: Any, make_provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "7")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", str(HOUR_MILLIS))
    monkeypatch.setenv("OTEL_BSP_EXPORT_TIMEOUT", "50")
    http_receiver.fall_silent()
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    provider = make_provider(processor)
    end_spans(provider, 3)
    assert provider.force_flush(10_000)
    assert batches(http_receiver) == [3]
    assert processor.counts()["failed"] == 3


@pytest.mark.parametrize(
    "variable",
    ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"],
)
def test_a_variable_that_is_not_a_number_is_logged_and_ignored(
    http_receiver: Any, exporter_to: Any, monkeypatch: Any, caplog: Any, variable: str
) -> None:
    monkeypatch.setenv(variable, "x")
    BatchSpanProcessor(exporter_to(http_receiver)).shutdown(100)
    assert f"{variable} is 'x'; accepted: a whole number" in caplog.text
    assert "Traceback" not in caplog.text


def test_extreme_but_valid_arguments_are_accepted(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    for arguments in (
        {"max_queue_size": 2**62, "max_export_batch_size": 2**62},
        {"schedule_delay_millis": 1e300},
        {"schedule_delay_millis": 0.001},
        {"export_timeout_millis": 1e300},
        {"schedule_delay_millis": float("inf")},
    ):
        provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver), **arguments))
        end_spans(provider, 1)
        assert provider.force_flush()
    assert len(http_receiver.spans()) == 5


def test_the_exporter_is_an_attribute_of_the_processor(http_receiver: Any, exporter_to: Any) -> None:
    exporter = exporter_to(http_receiver)
    processor = BatchSpanProcessor(exporter)
    assert processor.span_exporter is exporter
    assert isinstance(processor, StockBatchSpanProcessor)
    processor.shutdown()


# --- Other exporters, processors and providers -----------------------------------------------------------------------


class Recording(SpanExporter):
    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.suppressed: list[Any] = []
        self.threads: set[int] = set()
        self.shut_down = 0
        self.hold = threading.Event()
        self.hold.set()

    def export(self, spans: Any) -> SpanExportResult:
        self.suppressed.append(context_api.get_value(_SUPPRESS_INSTRUMENTATION_KEY))
        self.threads.add(threading.get_ident())
        self.batches.append(list(spans))
        self.hold.wait(DEADLINE_SECONDS)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.shut_down += 1

    def spans(self) -> list[Any]:
        return [span for batch in self.batches for span in batch]


def test_a_python_exporter_gets_readable_spans_in_batches_on_another_thread(make_provider: Any) -> None:
    exporter = Recording()
    provider = make_provider(BatchSpanProcessor(exporter, schedule_delay_millis=HOUR_MILLIS, max_export_batch_size=10))
    end_spans(provider, 25)
    assert provider.force_flush()
    assert len(exporter.spans()) == 25
    assert max(map(len, exporter.batches)) == 10
    assert all(isinstance(span, sdk.ReadableSpan) for span in exporter.spans())
    assert all(exporter.suppressed)
    assert threading.get_ident() not in exporter.threads


def test_a_python_exporter_gets_a_small_batch_after_the_delay(make_provider: Any) -> None:
    exporter = Recording()
    end_spans(make_provider(BatchSpanProcessor(exporter, schedule_delay_millis=10)), 2)
    wait_until(lambda: len(exporter.spans()) == 2, "exported after the delay")


def test_flushing_a_python_exporter_that_hangs_keeps_the_deadline(make_provider: Any) -> None:
    exporter = Recording()
    exporter.hold.clear()
    provider = make_provider(BatchSpanProcessor(exporter))
    end_spans(provider, 1)
    started = time.monotonic()
    assert provider.force_flush(100) is False
    assert time.monotonic() - started < 5
    exporter.hold.set()


def test_a_full_queue_before_a_python_exporter_counts_exactly(make_provider: Any) -> None:
    exporter = Recording()
    exporter.hold.clear()
    processor = BatchSpanProcessor(
        exporter, max_queue_size=20, schedule_delay_millis=HOUR_MILLIS, max_export_batch_size=10
    )
    provider = make_provider(processor)
    end_spans(provider, 10)
    wait_until(lambda: exporter.batches, "the first batch is being exported")
    end_spans(provider, 35)
    counts = {"created": 45, "exported": 0, "rejected": 0, "failed": 0, "dropped": 15, "pending": 30, "in_flight": 10}
    assert processor.counts() == counts
    exporter.hold.set()


def test_a_python_exporter_is_shut_down_once(make_provider: Any) -> None:
    exporter = Recording()
    provider = make_provider(BatchSpanProcessor(exporter))
    end_spans(provider, 3)
    provider.shutdown()
    provider.shutdown()
    assert (len(exporter.spans()), exporter.shut_down) == (3, 1)
    end_spans(provider, 1)
    assert provider.force_flush() is False
    assert len(exporter.spans()) == 3


def test_a_python_exporter_that_raises_does_not_stop_the_others(
    make_provider: Any, http_receiver: Any, exporter_to: Any, caplog: Any
) -> None:
    class Raises(Recording):
        def export(self, spans: Any) -> SpanExportResult:
            raise RuntimeError("no")

    provider = make_provider(BatchSpanProcessor(Raises()), BatchSpanProcessor(exporter_to(http_receiver)))
    end_spans(provider, 2)
    provider.force_flush()
    end_spans(provider, 2)
    provider.force_flush()
    assert len(http_receiver.spans()) == 4
    assert "Exception while exporting Span" in caplog.text


def test_several_native_processors_all_get_every_span(
    http_receiver: Any, grpc_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    provider = make_provider(
        BatchSpanProcessor(exporter_to(http_receiver)), BatchSpanProcessor(exporter_to(grpc_receiver))
    )
    end_spans(provider, 7)
    assert provider.force_flush()
    assert len(http_receiver.spans()) == len(grpc_receiver.spans()) == 7


@pytest.mark.parametrize("provider_kind", [TracerProvider, sdk.TracerProvider], ids=["native", "stock"])
@pytest.mark.parametrize("processor_kind", [BatchSpanProcessor, StockBatchSpanProcessor, SimpleSpanProcessor])
@pytest.mark.parametrize("exporter_kind", ["native", "stock", "memory"])
def test_every_combination_of_native_and_stock_works(
    provider_kind: Any, processor_kind: Any, exporter_kind: str, receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as StockGrpc
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as StockHttp

    memory = InMemorySpanExporter()
    exporter: Any = {
        "native": lambda: exporter_to(receiver),
        "stock": lambda: {"http": StockHttp, "grpc": StockGrpc}[receiver.protocol](receiver.endpoint),
        "memory": lambda: memory,
    }[exporter_kind]()
    provider = make_provider(processor_kind(exporter), kind=provider_kind)
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("parent", attributes={"a": [1]}), tracer.start_as_current_span("child"):
        pass
    assert provider.force_flush()
    names = [span.name for span in (memory.get_finished_spans() if exporter_kind == "memory" else receiver.spans())]
    assert sorted(names) == ["child", "parent"]


@pytest.mark.parametrize("multi", [sdk.SynchronousMultiSpanProcessor, sdk.ConcurrentMultiSpanProcessor])
def test_a_native_processor_within_another_works(
    multi: Any, http_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    inner = multi()
    processor = BatchSpanProcessor(exporter_to(http_receiver))
    inner.add_span_processor(processor)
    provider = make_provider(processor, active_span_processor=inner)
    end_spans(provider, 3)
    assert provider.force_flush()
    # The fixture adds it, too, so every span arrives twice.
    assert len(http_receiver.spans()) == 6


def test_a_subclass_of_the_processor_sees_the_spans(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    class Filtering(BatchSpanProcessor):
        def on_end(self, span: Any) -> None:
            if span.name != "unwanted":
                super().on_end(span)

    provider = make_provider(Filtering(exporter_to(http_receiver)))
    end_spans(provider, 2, "unwanted")
    end_spans(provider, 2, "wanted")
    assert provider.force_flush()
    assert [span.name for span in http_receiver.spans()] == ["wanted"] * 2


def test_a_processor_that_wraps_a_native_one_may_change_what_is_exported(
    http_receiver: Any, exporter_to: Any, make_provider: Any
) -> None:
    class Redacting(sdk.SpanProcessor):
        def __init__(self, inner: BatchSpanProcessor) -> None:
            self.inner = inner

        def on_end(self, span: Any) -> None:
            self.inner.on_end(
                sdk.ReadableSpan(
                    name="redacted",
                    context=span.context,
                    parent=span.parent,
                    resource=span.resource,
                    start_time=span.start_time,
                    end_time=span.end_time,
                    instrumentation_scope=span.instrumentation_scope,
                )
            )

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return self.inner.force_flush(timeout_millis)

        def shutdown(self) -> None:
            self.inner.shutdown()

    provider = make_provider(Redacting(BatchSpanProcessor(exporter_to(http_receiver))))
    end_spans(provider, 2, "secret")
    assert provider.force_flush()
    assert [span.name for span in http_receiver.spans()] == ["redacted"] * 2


def test_a_subclass_of_the_exporter_sees_the_spans(http_receiver: Any, make_provider: Any) -> None:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

    seen = []

    class Counting(OTLPSpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            seen.extend(span.name for span in spans)
            return super().export(spans)

    provider = make_provider(BatchSpanProcessor(Counting(http_receiver.endpoint)))
    end_spans(provider, 3)
    assert provider.force_flush()
    assert seen == ["span"] * 3
    assert len(http_receiver.spans()) == 3


def test_one_exporter_may_serve_two_processors(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    exporter = exporter_to(http_receiver)
    provider = make_provider(BatchSpanProcessor(exporter), BatchSpanProcessor(exporter))
    end_spans(provider, 2)
    assert provider.force_flush()
    assert len(http_receiver.spans()) == 4


def test_a_receiver_that_stops_and_starts_again(receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    unavailable = 503 if isinstance(receiver, HttpReceiver) else grpc.StatusCode.UNAVAILABLE
    receiver.answers = [Answer(unavailable)]
    processor = BatchSpanProcessor(exporter_to(receiver))
    provider = make_provider(processor)
    end_spans(provider, 3)
    assert provider.force_flush(20_000)
    assert len(receiver.requests) == 2
    assert processor.counts()["exported"] == 3


def test_logging_handlers_may_make_spans(http_receiver: Any, exporter_to: Any, make_provider: Any) -> None:
    """Reports of the export thread are logged when a span ends: a handler that creates spans must not loop for ever."""
    http_receiver.answers = [Answer(400)] * 1000
    provider = make_provider(BatchSpanProcessor(exporter_to(http_receiver), max_queue_size=4, max_export_batch_size=2))
    tracer = provider.get_tracer("test")

    class Handler(logging.Handler):
        lines = 0

        def emit(self, record: logging.LogRecord) -> None:
            Handler.lines += 1
            with tracer.start_as_current_span("in the handler") as span:
                span.set_attribute("", "bad key, which logs as well" if Handler.lines < 50 else "x")

    logger = logging.getLogger("otel_rs.export")
    handler = Handler()
    logger.addHandler(handler)
    try:
        end_spans(provider, 100)
        provider.force_flush()
        end_spans(provider, 1)
    finally:
        logger.removeHandler(handler)
    assert Handler.lines < 10
