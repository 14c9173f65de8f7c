from opentelemetry import trace

with trace.get_tracer("app").start_as_current_span("work"):
    pass
