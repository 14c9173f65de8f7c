"""logfire, which wraps the SDK's tracer, and sends to its own service by a `requests` session of its own class."""

import os

import logfire
from opentelemetry import trace

# LOGFIRE_TOKEN and LOGFIRE_BASE_URL make it send to the receiver.
logfire.configure(service_name="shop", console=False, inspect_arguments=False, distributed_tracing=False)


@logfire.instrument("price of {item}")
def price(item: str) -> int:
    logfire.info("looked up {item}", item=item)
    return 7


with logfire.span("order {number}", number=1, password=os.environ["HOME"]) as span:
    span.set_attribute("total", price("tea"))
    try:
        with logfire.span("payment"):
            raise ValueError("declined")
    except ValueError:
        pass
with trace.get_tracer("library").start_as_current_span("from a library", attributes={"a": 1}):
    pass
assert logfire.force_flush()
logfire.shutdown()
