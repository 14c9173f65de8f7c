"""Signals that arrive while our code runs: their handlers may create spans, and may raise."""

from __future__ import annotations

import pytest

from ..support.receiver import Receiver
from ..support.traced_program import destination, names, run

# A thousand signals a second; each handler call creates spans, and writes to and reads the interrupted span.
HANDLER = """
processor = batching(max_export_batch_size=100)
provider = provider_of(processor)
tracer = provider.get_tracer("test")
handled, flushes_in_handler, flushing = 0, 0, False

def handle(number, frame):
    global handled, flushes_in_handler, flushing
    handled += 1
    with tracer.start_as_current_span("handler", attributes={"list": [1, "a"]}):
        trace.get_current_span().add_event("event")
    interrupted = trace.get_current_span()
    interrupted.set_attribute("handled", handled)
    interrupted.is_recording() and interrupted.attributes
    if handled % 100 == 0 and not flushing:
        flushing = True
        provider.force_flush(300)
        flushes_in_handler += 1
        flushing = False

signal.signal(signal.SIGALRM, handle)
def start_timer():
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
def stop_timer():
    signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_handler_may_create_spans_anywhere(receiver: Receiver) -> None:
    """During span creation, direct exports, flushes and shutdown."""
    program = """
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
simple = provider_of(SimpleSpanProcessor(OTLPSpanExporter()))
exporting = simple.get_tracer("simple")

class Text:
    # Long enough for a signal during the conversion of a value.
    def __str__(self):
        return "".join(map(str, range(300)))

made = exported = flushes = 0
start_timer()
started = time.monotonic()
# Runs longer on a busy machine.
while (took := time.monotonic() - started) < 2 or (took < 20 and (handled < 300 or flushes < 10)):
    for _ in range(20):
        with tracer.start_as_current_span("span", attributes={"a": 1, "list": ["x"] * 10}) as span:
            span.set_attribute("mapping", {"nested": [1, {"text": "y"}]})
            span.set_attribute("text", {"nested": [Text()]})
            try:
                with tracer.start_as_current_span("span"):
                    raise ValueError("on purpose")
            except ValueError:
                pass
        made += 2
    exporting.start_span("exported").end()
    exported += 1
    assert provider.force_flush()
    flushes += 1
provider.shutdown()
stop_timer()
tell(made=made, exported=exported, flushes=flushes + flushes_in_handler, handled=handled, counts=processor.counts())
"""
    ended = run(HANDLER + QUIET + program, **destination(receiver))
    assert (ended.code, ended.stderr) == (0, "")
    counts, handled = ended.fact("counts"), ended.fact("handled")
    assert handled >= 300
    assert ended.fact("flushes") >= 10
    assert counts["created"] == counts["exported"] + counts["dropped"] == ended.fact("made") + handled
    # These are spans of handlers that ran after the start of the shutdown.
    assert counts["dropped"] < 100
    arrived = names(receiver)
    assert arrived["span"] == ended.fact("made")
    assert arrived["span"] + arrived["handler"] == counts["exported"]
    assert arrived["exported"] == ended.fact("exported")


# Every type that is not an OpenTelemetry attribute type writes a log line.
QUIET = """
import logging
logging.getLogger("otel_rs").setLevel(logging.CRITICAL)
"""


def test_a_signal_handler_may_create_spans_during_a_wait(http_receiver: Receiver) -> None:
    """The receiver hangs: a flush and a shutdown wait in native code, and keep their deadlines."""
    http_receiver.fall_silent()
    program = """
end_spans(provider, "span", 10)
start_timer()
started = time.monotonic()
before = handled
tell(flushed=provider.force_flush(500))
tell(in_flush=handled - before, flush_took=time.monotonic() - started)
stop_timer()
start_timer()
started = time.monotonic()
processor.shutdown(500)
tell(shutdown_took=time.monotonic() - started)
stop_timer()
tell(handled=handled, counts=processor.counts())
os._exit(0)
"""
    ended = run(HANDLER + program, **destination(http_receiver))
    assert ended.code == 0, ended.stderr
    assert ended.fact("flushed") is False
    assert ended.fact("in_flush") >= 5
    assert ended.fact("flush_took") < 2
    assert ended.fact("shutdown_took") < 2
    counts = ended.fact("counts")
    assert counts["created"] == ended.fact("handled") + 10
    assert counts["created"] == counts["failed"] + counts["dropped"] + counts["exported"] + counts["pending"]


def test_an_exception_from_a_signal_handler_at_a_with_leaves_no_span_current() -> None:
    """Wherever it comes: before the span is current, within the block or, from CPython 3.14 on, between the two."""
    program = """
from opentelemetry import context
provider = provider_of()
tracer = provider.get_tracer("test")
armed = False
def interrupt(number, frame):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt
# From CPython 3.13 on the jump that ends a loop may have no handler. The call of a function has one.
def spans_until_interrupted():
    global armed
    armed = True
    while armed:
        with tracer.start_as_current_span("a"), tracer.start_as_current_span("b"):
            pass
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
interrupts = left = 0
started = time.monotonic()
# Runs longer on a busy machine.
while (took := time.monotonic() - started) < 1 or (took < 20 and interrupts < 500):
    try:
        spans_until_interrupted()
    except KeyboardInterrupt:
        interrupts += 1
    if trace.get_current_span() is not trace.INVALID_SPAN:
        left += 1
        context.attach(context.Context())
signal.setitimer(signal.ITIMER_REAL, 0)
tell(interrupts=interrupts, left=left)
"""
    ended = run(program, **destination("http://127.0.0.1:9"))
    assert ended.code == 0, ended.stderr
    assert ended.fact("interrupts") >= 500
    assert ended.fact("left") == 0


@pytest.mark.parametrize("base", ["BaseException", "Exception"])
def test_an_exception_from_a_signal_handler_propagates_and_spans_still_work(base: str, http_receiver: Receiver) -> None:
    """An interrupted call either creates or ends the span or does not, but never leaves it half done.

    When otel-rs calls user code (a processor, a `__str__`), an `Exception` does not propagate from it. These spans call
    no user code.
    """
    program = """
class Stopped(BASE):
    pass

armed = False
def raising(number, frame):
    global armed
    if armed:
        armed = False
        raise Stopped

# From CPython 3.13 on the jump that ends a loop may have no handler. The call of a function has one.
def spans_until_stopped():
    global armed
    armed = True
    patience = time.monotonic() + 0.5
    while time.monotonic() < patience:
        with tracer.start_as_current_span("span", attributes={"list": ["x"] * 10}) as span:
            span.set_attribute("mapping", {"nested": [1, {"text": "y"}]})
            with tracer.start_as_current_span("inner"):
                pass
        if raised % 50 == 0:
            provider.force_flush()

signal.signal(signal.SIGALRM, raising)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
raised = whole = lost = 0
started = time.monotonic()
while not lost and ((took := time.monotonic() - started) < 1 or (took < 20 and raised < 100)):
    try:
        spans_until_stopped()
        lost += 1
    except Stopped:
        raised += 1
    finally:
        armed = False
    # Interrupted blocks leave nothing in the context.
    if trace.get_current_span() is not trace.INVALID_SPAN:
        tell(left=True)
        break
    with tracer.start_as_current_span("whole") as span:
        span.set_attribute("number", whole)
    whole += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert provider.force_flush()
tell(raised=raised, whole=whole, lost=lost, counts=processor.counts())
"""
    ended = run(HANDLER + program.replace("BASE", base), **destination(http_receiver))
    assert (ended.code, ended.stderr, ended.fact("lost")) == (0, "", 0)
    assert not [facts for facts in ended.all_facts if "left" in facts]
    assert ended.fact("raised") >= 100
    counts, arrived = ended.fact("counts"), names(http_receiver)
    assert arrived["whole"] == ended.fact("whole") == ended.fact("raised")
    assert counts["created"] == counts["exported"] == len(http_receiver.spans())


WAITS = {
    "force_flush": ("Exception", "provider.force_flush(60_000)"),
    "shutdown": ("Exception", "processor.shutdown(60_000)"),
    "export": ("Exception", "exporter.export([span])"),
    # An Exception would count as raised by the processor, as in upstream's processor.
    "a span's end": ("BaseException", "exported.get_tracer('test').start_span('span').end()"),
}


@pytest.mark.parametrize(("base", "call"), WAITS.values(), ids=WAITS)
def test_an_exception_from_a_signal_handler_ends_a_wait(http_receiver: Receiver, base: str, call: str) -> None:
    http_receiver.fall_silent()
    program = f"""
from otel_rs import SimpleSpanProcessor
class Stopped({base}):
    pass

def stop(*_):
    raise Stopped

exporter = OTLPSpanExporter()
exported = provider_of(SimpleSpanProcessor(exporter), shutdown_on_exit=False)
span = provider.get_tracer("test").start_span("span")
span.end()
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.3)
started = time.monotonic()
try:
    {call}
    tell(stopped=False)
except Stopped:
    tell(stopped=True)
tell(took=time.monotonic() - started)
with provider.get_tracer("test").start_as_current_span("later") as later:
    assert trace.get_current_span() is later
tell(created=processor.counts()["created"])
os._exit(0)
"""
    ended = run(HANDLER + program, **destination(http_receiver))
    assert (ended.code, ended.fact("stopped")) == (0, True), ended.stderr
    assert ended.fact("took") < 3
    assert ended.fact("created") == 2
