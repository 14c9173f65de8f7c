"""The interpreter exits while daemon threads create spans: the program ends as it does without otel-rs."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import copy, logging, socket, sys, threading, time
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import TraceState
from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.http import OTLPSpanExporter

def busy():
    for _ in range(3000):
        pass
    return "busy"

class Handler(logging.Handler):
    def emit(self, record):
        busy()

logging.getLogger("otel_rs").addHandler(Handler())
logging.getLogger("otel_rs").propagate = False

class Text(Exception):
    def __str__(self):
        return busy()

class Processor(SpanProcessor):
    def on_end(self, span):
        busy()

class OwnSampler(Sampler):
    def should_sample(self, *arguments, **keywords):
        busy()
        return ALWAYS_ON.should_sample(*arguments, **keywords)
    def get_description(self):
        return "own"

class OwnIds(RandomIdGenerator):
    def generate_span_id(self):
        busy()
        return super().generate_span_id()

class OwnState(TraceState):
    def to_header(self):
        return busy()

class StateSampler(OwnSampler):
    def should_sample(self, *arguments, **keywords):
        return SamplingResult(Decision.RECORD_AND_SAMPLE, trace_state=OwnState([("a", "b")]))

class Key(str):
    __slots__ = ()
    def __str__(self):
        return busy()
    def __hash__(self):
        busy()
        return super().__hash__()
    def __eq__(self, other):
        busy()
        return super().__eq__(other)

class Own(SpanExporter):
    def export(self, spans):
        busy()
        return SpanExportResult.SUCCESS

def otlp_processor():
    # No server listens there, and none is needed.
    return BatchSpanProcessor(OTLPSpanExporter(endpoint="http://127.0.0.1:9/v1/traces"))

listener = socket.create_server(("127.0.0.1", 0))

def silent():
    # A server listens there, but never answers.
    return BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{{listener.getsockname()[1]}}/v1/traces"))

provider = TracerProvider(shutdown_on_exit=False, {arguments})
{setup}
tracer = provider.get_tracer("test")

@tracer.start_as_current_span("decorated")
def decorated():
    busy()

def work():
    while True:
        with tracer.start_as_current_span("daemon", attributes={{"a": [1]}}) as span:
            {body}

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""

# What the daemon threads run when the interpreter ends them: only native code, or Python code called from it.
CASES = {
    "native code": ("", "", "pass"),
    "a value's __str__": ("", "", "span.set_attribute('a', Text())"),
    "a log line": ("", "", "span.set_attribute('', 1)"),
    "a recorded exception": ("", "", "span.record_exception(Text())"),
    "a span processor": ("", "provider.add_span_processor(Processor())", "pass"),
    "a sampler": ("sampler=OwnSampler()", "", "pass"),
    "an id generator": ("id_generator=OwnIds()", "", "pass"),
    "reading": (
        "",
        "",
        "span.name, span.attributes, span.events, span.links, span.resource, span.status, span.parent, span.context;"
        "span.to_json(); copy.copy(span); repr(span)",
    ),
    "a key's own methods": ("", "", "span.set_attribute(Key('a'), 1); span.add_event('b', {Key('c'): [Key('d')]})"),
    "a decorated function": ("", "provider.add_span_processor(Processor())", "decorated()"),
    "an own exporter": ("", "provider.add_span_processor(SimpleSpanProcessor(Own()))", "pass"),
    "an own exporter, in batches": (
        "",
        "provider.add_span_processor(BatchSpanProcessor(Own(), schedule_delay_millis=1, max_export_batch_size=4))",
        "pass",
    ),
    # They wait in native code, where the interpreter cannot end them.
    "a flush": ("", "provider.add_span_processor(silent())", "provider.force_flush()"),
    "an export": ("", "provider.add_span_processor(SimpleSpanProcessor(silent().span_exporter))", "pass"),
    "a shutdown": ("", "provider.add_span_processor(silent())", "provider.shutdown()"),
    "a trace state": ("sampler=StateSampler()", "provider.add_span_processor(otlp_processor())", "pass"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_daemon_threads_inside_a_call_do_not_break_the_exit(case: tuple[str, str, str]) -> None:
    arguments, setup, body = case
    program = PROGRAM.format(arguments=arguments, setup=setup, body=body)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    # The threads worked until then.
    assert "Traceback" not in done.stderr
