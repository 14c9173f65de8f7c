"""Sends log lines of the program's own loggers, within a span and outside, with a handler that it sets up itself."""

import otel_rs

otel_rs.install()

import logging

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))

logger_provider = LoggerProvider(
    resource=Resource.create({"service.name": "shoppingcart", "service.instance.id": "instance-12"})
)
set_logger_provider(logger_provider)
logger_provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(insecure=True)))

handler = LoggingHandler(level=logging.NOTSET, logger_provider=logger_provider)
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.NOTSET)

orders = logging.getLogger("myapp.orders")
payments = logging.getLogger("myapp.payments")

orders.debug("An order is read.")
orders.info("An order is accepted.")
payments.warning("A payment is late.")
payments.error("A payment is refused.")
orders.error("A line with an attribute of its own.", extra={"user_id": "user-123"})

with trace.get_tracer(__name__).start_as_current_span("foo"):
    payments.error("A line within a span.")

logger_provider.shutdown()
