"""What type checkers see of the package: mypy and pyright check it, and nothing runs it.

A comment that ignores an error is an error itself where there is none.
"""

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Tracer
from typing_extensions import assert_type

import otel_rs
from otel_rs import BatchSpanProcessor, SimpleSpanProcessor, TracerProvider
from otel_rs import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.exporter.otlp import Compression, TlsCredentials
from otel_rs.exporter.otlp import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
from otel_rs.exporter.otlp.grpc import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.exporter.otlp.http import OTLPSpanExporter as HttpSpanExporter
from otel_rs.exporter.otlp.http import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.logs import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.metrics import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.testing import Expected, Node, Receiver, Telemetry, span
from otel_rs.testing import Typo as _  # type: ignore[attr-defined]  # pyright: ignore
from otel_rs.trace import Typo as _  # type: ignore[attr-defined]  # pyright: ignore

assert_type(otel_rs.__version__, str)
otel_rs.install()
otel_rs.uninstall()
otel_rs.typo()  # type: ignore[attr-defined]  # pyright: ignore

exporter: SpanExporter = OTLPSpanExporter(
    "localhost:4317", insecure=True, credentials=TlsCredentials("ca.pem"), headers={"a": "b"}, timeout=3
)
exporter = HttpSpanExporter("http://localhost:4318/v1/traces", compression=Compression.Gzip)
OTLPSpanExporter(endpont="localhost:4317")  # type: ignore[call-arg]  # pyright: ignore

provider = TracerProvider()
processor: SpanProcessor = BatchSpanProcessor(exporter, max_queue_size=10)
provider.add_span_processor(processor)
provider.add_span_processor(SimpleSpanProcessor(exporter))
BatchSpanProcessor(exporter, max_queue_size="10")  # type: ignore[arg-type]  # pyright: ignore
assert_type(provider.force_flush(1000), bool)
trace.set_tracer_provider(provider)
tracer: Tracer = provider.get_tracer("a")
with tracer.start_as_current_span("b") as current:
    current.set_attribute("c", [1, 2])

with Telemetry() as telemetry:
    assert_type(telemetry.traces(), list[Node])
    assert telemetry.traces() == [span("a", span("b"))]
assert_type(span("a"), Expected)
with Receiver() as receiver:
    receiver.wait_for(spans=1)


def ended(ended_span: ReadableSpan) -> str:
    return ended_span.name
