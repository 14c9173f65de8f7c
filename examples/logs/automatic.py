"""Writes a log line within a span, with the API alone."""

import logging

from opentelemetry import trace

tracer = trace.get_tracer_provider().get_tracer(__name__)

with tracer.start_as_current_span("foo"):
    trace.get_current_span().add_event("This is a span event")
    logging.getLogger().error("This is a log message")
