"""A Flask program that instruments its own app object with the instrumentation package."""

import os

from flask import Flask, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import set_tracer_provider

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

app = Flask(__name__)
# instrument_app takes options that opentelemetry-instrument cannot give, excluded_urls="health" for one.
FlaskInstrumentor().instrument_app(app)


@app.route("/server_request")
def server_request() -> str:
    print(request.args.get("param"), flush=True)
    return "served"


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8082")))
