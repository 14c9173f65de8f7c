"""Ends numbered spans until SIGTERM, then flushes. It prints what became of its spans, as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading

from opentelemetry.trace import get_tracer, set_tracer_provider

from otel_rs import BatchSpanProcessor, TracerProvider

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
else:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

PAUSE_SECONDS = 0.001
SPANS_BETWEEN_LINES = 50

logging.basicConfig(level=logging.INFO, format="LOG %(levelname)s %(name)s: %(message)s")

processor = BatchSpanProcessor(OTLPSpanExporter())
provider = TracerProvider()
provider.add_span_processor(processor)
set_tracer_provider(provider)
tracer = get_tracer("outage")
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())


def tell(**facts: object) -> None:
    print(json.dumps({**processor.counts(), **facts}), flush=True)


number = 0
while not stopped.wait(PAUSE_SECONDS):
    tracer.start_span("numbered", attributes={"number": number}).end()
    number += 1
    if number % SPANS_BETWEEN_LINES == 0:
        tell()
provider.force_flush(60_000)
tell(ended=number)
