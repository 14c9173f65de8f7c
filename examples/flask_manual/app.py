"""A Flask program that makes its server span itself."""

import os

from flask import Flask, request
from opentelemetry.instrumentation.wsgi import collect_request_attributes
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import SpanKind, get_tracer, set_tracer_provider

from otel_rs import BatchSpanProcessor, TracerProvider

if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
    from otel_rs.exporter.otlp.grpc import OTLPSpanExporter
else:
    from otel_rs.exporter.otlp.http import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
# An exporter written in Python works behind the same processor.
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
set_tracer_provider(provider)

tracer = get_tracer(__name__)
app = Flask(__name__)


@app.route("/server_request")
def server_request() -> str:
    with tracer.start_as_current_span(
        "server_request",
        context=extract(request.headers),
        kind=SpanKind.SERVER,
        attributes=collect_request_attributes(request.environ),
    ):
        print(request.args.get("param"), flush=True)
        return "served"


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8082")))
