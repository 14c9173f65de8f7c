"""gevent and eventlet, patched before or after our imports: contexts, deliveries and deadlines are correct."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ..support.receiver import HttpReceiver, Receiver
from ..support.traced_program import PRELUDE, destination, run

PATCHES = {
    "gevent": """
import gevent
from gevent import Timeout, monkey
monkey.patch_all()
start_timeout = Timeout.start_new
spawn, sleep = gevent.spawn, gevent.sleep
def join(greenlets):
    gevent.joinall(greenlets, raise_error=True)
""",
    "eventlet": """
import warnings
with warnings.catch_warnings():
    # Ignores only the warning that eventlet is deprecated.
    warnings.filterwarnings("ignore", "(?s).*Eventlet is deprecated")
    import eventlet
from eventlet import Timeout
eventlet.monkey_patch()
start_timeout = Timeout  # starts where it is made
spawn, sleep = eventlet.spawn, eventlet.sleep
def join(greenlets):
    for greenlet in greenlets:
        greenlet.wait()
""",
}

# Early: before our imports. Late: after the processor and exporter exist and have exported.
SETUP = """
processor = batching(schedule_delay_millis=20)
provider = provider_of(processor)
tracer = provider.get_tracer("test")
end_spans(provider, "first")
assert provider.force_flush()
"""


@pytest.fixture(params=[(library, when) for library in PATCHES for when in ("early", "late")], ids="-".join)
def setup(request: pytest.FixtureRequest) -> str:
    """The start of a program, which creates a tracer."""
    library, when = request.param
    parts = [PATCHES[library], PRELUDE + SETUP] if when == "early" else [PRELUDE + SETUP, PATCHES[library]]
    return "\n".join(parts)


# Every greenlet yields to the others at each step, inside its spans.
REQUESTS = """
def request(number):
    with tracer.start_as_current_span(f"request {number}") as outer:
        sleep(0)
        for step in range(3):
            assert trace.get_current_span() is outer
            with tracer.start_as_current_span(f"step {number}", attributes={"step": step}) as inner:
                sleep(0.001 * (number % 3))
                assert trace.get_current_span() is inner
                inner.add_event("awake")
        if number % 10 == 0:
            # A flush from a greenlet, while others have open spans.
            assert provider.force_flush(10_000)
    assert trace.get_current_span() is trace.INVALID_SPAN

join([spawn(request, number) for number in range(100)])
"""


def test_spans_of_greenlets_keep_their_own_parents_and_arrive(http_receiver: Receiver, setup: str) -> None:
    program = """
assert provider.force_flush(10_000)
provider.shutdown()
tell(counts=processor.counts())
"""
    ended = run(REQUESTS + program, prelude=setup, **destination(http_receiver))
    assert (ended.code, ended.stderr) == (0, "")
    check_requests(http_receiver)
    counts = ended.fact("counts")
    assert (counts["created"], counts["exported"]) == (401, 401)


def check_requests(receiver: Receiver) -> None:
    spans = receiver.spans()
    name_of = {span.span_id: span.name for span in spans}
    assert len(spans) == len(name_of) == 401
    parents = {(span.name, name_of.get(span.parent_span_id)) for span in spans}
    expected: set[Any] = {("first", None)}
    for number in range(100):
        expected |= {(f"request {number}", None), (f"step {number}", f"request {number}")}
    assert parents == expected


# All user code that otel-rs calls yields to other greenlets, which call otel-rs on the same thread.
SWITCHING = """
import logging
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

class Switching(SpanProcessor):
    def on_start(self, span, parent_context=None):
        sleep(0)
        span.set_attribute("number at start", span.attributes["number"])
    def _on_ending(self, span):
        sleep(0)
    def on_end(self, span):
        sleep(0)

class SwitchingSampler(Sampler):
    def should_sample(self, *arguments, **keywords):
        sleep(0)
        return ALWAYS_ON.should_sample(*arguments, **keywords)
    def get_description(self):
        return "switching"

class SwitchingIds(RandomIdGenerator):
    def generate_span_id(self):
        sleep(0)
        return super().generate_span_id()

class SwitchingHandler(logging.Handler):
    lines = 0
    def emit(self, record):
        sleep(0)
        SwitchingHandler.lines += 1

class Text:
    def __init__(self, number):
        self.number = number
    def __str__(self):
        sleep(0)
        return f"text {self.number}"

class Failed(Exception):
    def __str__(self):
        sleep(0)
        return str(self.args[0])

class Own(SpanExporter):
    # Yields inside an export, as an exporter that uses a socket does.
    exported = 0
    def export(self, spans):
        sleep(0.01)
        Own.exported += len(spans)
        return SpanExportResult.SUCCESS

logger = logging.getLogger("otel_rs")
logger.addHandler(SwitchingHandler())
logger.propagate = False
own = BatchSpanProcessor(Own(), schedule_delay_millis=5, max_export_batch_size=64)
theirs = {"sampler": SwitchingSampler(), "id_generator": SwitchingIds()}
switching = provider_of(Switching(), processor, own, Switching(), **theirs)
tracer = switching.get_tracer("switching")

def request(number):
    try:
        with tracer.start_as_current_span(f"switching {number}", attributes={"number": number}) as outer:
            outer.set_attribute("text", {"nested": [Text(number)]})  # with a line about the type
            outer.set_attribute("", number)  # refused, with a line
            with tracer.start_as_current_span(f"inner {number}", attributes={"number": number}) as inner:
                inner.add_event("event", {"text": f"{number}"})
            assert trace.get_current_span() is outer
            raise Failed(number)
    except Failed as error:
        assert error.args == (number,)

join([spawn(request, number) for number in range(50)])
assert provider.force_flush(10_000) and switching.force_flush(10_000)
tell(flushed=Own.exported, lines=SwitchingHandler.lines)
end_spans(provider, "hub is kept busy", 10)
until = time.monotonic() + 10
while processor.counts()["pending"] and time.monotonic() < until:
    pass  # the export thread is not a greenlet
tell(pending=processor.counts()["pending"])
end_spans(provider, "at exit", 10)
sys.exit(3)
"""


def test_python_code_that_we_call_may_switch_greenlets(http_receiver: Receiver, setup: str) -> None:
    """Also with a Python exporter behind the batch processor, with a hub that is always busy, and at exit."""
    ended = run(SWITCHING, prelude=setup, **destination(http_receiver))
    assert (ended.code, ended.stderr) == (3, "")
    assert (ended.fact("flushed"), ended.fact("lines"), ended.fact("pending")) == (100, 100, 0)
    spans = {span.name: span for span in http_receiver.spans()}
    assert len(http_receiver.spans()) == len(spans) + 18 == 1 + 100 + 20
    for number in range(50):
        outer, inner = spans[f"switching {number}"], spans[f"inner {number}"]
        assert inner.parent_span_id == outer.span_id
        attributes = {attribute.key: attribute.value for attribute in outer.attributes}
        assert attributes["number at start"].int_value == number
        (nested,) = attributes["text"].kvlist_value.values
        assert nested.value.array_value.values[0].string_value == f"text {number}"
        assert outer.status.message == f"Failed: {number}"


# A timeout derives from BaseException, and is raised wherever the greenlet yields.
TIMEOUTS = """
from opentelemetry.sdk.trace import SpanProcessor

class Switching(SpanProcessor):
    def on_start(self, span, parent_context=None):
        sleep(0.002)
    def on_end(self, span):
        sleep(0.002)

switching = provider_of(Switching(), Switching())
tracer = switching.get_tracer("switching")
own, others, lost = 0, 0, 0

def request(number):
    global own, others, lost
    for _ in range(5):
        mine = start_timeout(0.001 + number % 7 / 1000)
        try:
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                with tracer.start_as_current_span("span"):
                    pass
            lost += 1
        except Timeout as timeout:
            if timeout is mine:
                own += 1
            else:
                others += 1
        finally:
            mine.cancel()

join([spawn(request, number) for number in range(20)])
tell(own=own, others=others, lost=lost)
"""


def test_a_timeout_is_raised_in_its_own_greenlet(http_receiver: Receiver, setup: str) -> None:
    ended = run(TIMEOUTS, prelude=setup, **destination(http_receiver))
    assert (ended.code, ended.stderr) == (0, "")
    assert (ended.fact("own"), ended.fact("others"), ended.fact("lost")) == (100, 0, 0)


# The receiver takes its time; meanwhile the hub must go on.
OBSERVING = """
from opentelemetry.metrics import Observation
from otel_rs.exporter.otlp.http import OTLPMetricExporter
from otel_rs.metrics import MeterProvider
from otel_rs.metrics.export import PeriodicExportingMetricReader

exporter = OTLPMetricExporter(os.environ["TEST_METRICS_ENDPOINT"])
metering = MeterProvider([PeriodicExportingMetricReader(exporter, 20)], Resource({}), shutdown_on_exit=False)
observed = []
def observe(options):
    observed.append(time.monotonic())
    return [Observation(len(observed))]
metering.get_meter("test").create_observable_counter("observed", [observe])
longest, last = 0, time.monotonic()
began = last
while len(observed) < 3 and last < began + 20:
    sleep(0.01)
    now = time.monotonic()
    longest, last = max(longest, now - last), now
tell(longest=longest, observed=len(observed))
metering.shutdown()
"""


@pytest.mark.parametrize("library", PATCHES)
def test_the_hub_goes_on_while_what_callbacks_observe_is_exported(http_receiver: HttpReceiver, library: str) -> None:
    take = http_receiver._take

    def take_slowly(*arguments: Any) -> Any:
        time.sleep(1)
        return take(*arguments)

    http_receiver._take = take_slowly  # type: ignore[method-assign]
    ended = run(
        OBSERVING,
        prelude=PATCHES[library] + PRELUDE,
        TEST_METRICS_ENDPOINT=http_receiver.endpoint_of("metrics"),
        **destination(http_receiver),
    )
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.fact("observed") >= 3
    assert ended.fact("longest") < 0.5
