"""Telemetry as it is set up with the stock SDK; nothing here knows of otel-rs."""

import os
import socket
import sqlite3

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.dbapi import trace_integration
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def instrument() -> None:
    resource = Resource.create(
        {"service.name": "shop", "host.name": socket.gethostname(), "process.pid": os.getpid()},
    )
    exporter = OTLPSpanExporter(
        endpoint=os.environ.get("TRACES_ENDPOINT", "http://localhost:4318/v1/traces"),
        headers={"Api-Key": os.environ.get("API_KEY", "")},
        compression=Compression.Gzip,
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    DjangoInstrumentor().instrument()
    trace_integration(sqlite3, "connect", "sqlite")
