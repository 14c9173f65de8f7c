"""Telemetry as the document sets it up: its imports and its function, after the two lines that make them native."""

import otel_rs

otel_rs.install()

import os  # noqa: E402
import socket  # noqa: E402

import MySQLdb  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: E402
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: E402
from opentelemetry.instrumentation.dbapi import trace_integration  # noqa: E402
from opentelemetry.instrumentation.django import DjangoInstrumentor  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter  # noqa: E402, F401
from opentelemetry.semconv.resource import ResourceAttributes  # noqa: E402


def instrument() -> None:
    tracer_provider = TracerProvider(
        resource=Resource.create(
            {
                ResourceAttributes.SERVICE_NAME: "acme_service",
                ResourceAttributes.SERVICE_VERSION: "vX.Y.Z",
                ResourceAttributes.DEPLOYMENT_ENVIRONMENT: "production",
                ResourceAttributes.HOST_NAME: socket.gethostname(),
                ResourceAttributes.PROCESS_PID: os.getpid(),
            }
        )
    )
    tracer_provider.add_span_processor(
        # To debug: BatchSpanProcessor(ConsoleSpanExporter())
        BatchSpanProcessor(
            OTLPSpanExporter(
                endpoint="https://otlp-vaxila.mackerelio.com/v1/traces",
                headers={
                    "Mackerel-Api-Key": os.environ["MACKEREL_API_KEY"],
                    "Accept": "*/*",
                },
                compression=Compression.Gzip,
            )
        )
    )
    trace.set_tracer_provider(tracer_provider)

    DjangoInstrumentor().instrument()
    trace_integration(MySQLdb, "connect", "mysql")
