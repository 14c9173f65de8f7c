from flask import Flask, request
from opentelemetry.instrumentation.wsgi import collect_request_attributes
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import SpanKind, get_tracer_provider, set_tracer_provider

from otel_rs import BatchSpanProcessor, TracerProvider
from otel_rs.exporter.otlp.grpc import OTLPSpanExporter

app = Flask(__name__)

set_tracer_provider(TracerProvider())
tracer = get_tracer_provider().get_tracer(__name__)

# An exporter written in Python works behind the same processor.
get_tracer_provider().add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
get_tracer_provider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


@app.route("/server_request")
def server_request():
    with tracer.start_as_current_span(
        "server_request",
        context=extract(request.headers),
        kind=SpanKind.SERVER,
        attributes=collect_request_attributes(request.environ),
    ):
        print(request.args.get("param"))
        return "served"


if __name__ == "__main__":
    app.run(port=8082)
