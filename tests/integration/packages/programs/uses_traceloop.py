"""traceloop-sdk, which sets up provider, processor and exporter, and instruments model clients."""

import os

from opentelemetry import trace
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import task, workflow

Traceloop.init(
    app_name="shop",
    api_endpoint=os.environ["HTTP_ENDPOINT"],
    api_key="key",
    telemetry_enabled=False,
)


@task(name="look up")
def price(item: str) -> int:
    return 7


@workflow(name="order")
def order() -> int:
    Traceloop.set_association_properties({"customer": "1"})
    return price("tea")


order()
trace.get_tracer_provider().force_flush()
