"""test_collector.py runs this: it creates 1,000 spans in ten traces. Arguments: the implementation, the protocol."""

import sys

implementation, protocol = sys.argv[1:]

if implementation == "otel_rs":
    from otel_rs import BatchSpanProcessor, TracerProvider

    if protocol == "grpc":
        from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
    else:
        from otel_rs.exporter.otlp.http import OTLPSpanExporter
else:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("thousand_spans")

for trace in range(10):
    with tracer.start_as_current_span("parent", attributes={"trace": trace}):
        for number in range(99):
            tracer.start_span("child", attributes={"trace": trace, "number": number}).end()

# No flush here: the exit of the program must export everything pending.
