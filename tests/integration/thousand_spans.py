"""test_collector.py runs this: it creates 1,000 spans in ten traces, counts them, and logs.

Arguments: the implementation, the protocol.
"""

import logging
import sys

from opentelemetry.metrics import Observation

implementation, protocol = sys.argv[1:]

if implementation == "otel_rs":
    from otel_rs import BatchSpanProcessor, TracerProvider
    from otel_rs.logs import LoggerProvider
    from otel_rs.logs.export import BatchLogRecordProcessor
    from otel_rs.logs.instrumentation import LoggingHandler
    from otel_rs.metrics import MeterProvider
    from otel_rs.metrics.export import PeriodicExportingMetricReader

    if protocol == "grpc":
        from otel_rs.exporter.otlp.grpc import OTLPLogExporter, OTLPMetricExporter, OTLPSpanExporter
    else:
        from otel_rs.exporter.otlp.http import OTLPLogExporter, OTLPMetricExporter, OTLPSpanExporter
else:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("thousand_spans")
meter = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]).get_meter("thousand_spans")
spans, traces = meter.create_counter("spans"), meter.create_histogram("traces")
level = meter.create_up_down_counter("level")
meter.create_observable_up_down_counter("observed", [lambda _: [Observation(trace)]])
trace = 0
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
log = logging.getLogger("thousand_spans")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=logs))

for trace in range(10):
    with tracer.start_as_current_span("parent", attributes={"trace": trace}):
        spans.add(1, {"name": "parent"})
        level.add(100)
        for number in range(99):
            tracer.start_span("child", attributes={"trace": trace, "number": number}).end()
            spans.add(1, {"name": "child"})
            level.add(-1)
            log.info("child %d", number)
    traces.record(trace)

# No flush here: the exit of the program must export everything pending.
