"""A span of the program's own, around a query."""

from opentelemetry import trace

from message.models import Message

tracer = trace.get_tracer("my.tracer.name")


def awesome_action(id: int) -> str:
    with tracer.start_as_current_span("awesome_action") as span:
        span.set_attribute("id", id)

        return Message.objects.get(pk=id).text
