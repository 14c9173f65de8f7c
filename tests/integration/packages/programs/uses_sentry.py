"""sentry-sdk, which adds an OTLP exporter to the program's provider and replaces `Span.record_exception`."""

import os

import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.integrations.otlp import OTLPIntegration

provider = TracerProvider()
trace.set_tracer_provider(provider)
host = os.environ["HTTP_ENDPOINT"].removeprefix("http://")
captured = []
sentry_sdk.init(
    dsn=f"http://key@{host}/1",
    integrations=[OTLPIntegration(capture_exceptions=True)],
    before_send=lambda event, hint: captured.append(event) or None,
    default_integrations=False,
)
tracer = trace.get_tracer("shop")
with (
    tracer.start_as_current_span("order", attributes={"number": 1}),
    tracer.start_as_current_span("payment") as payment,
):
    payment.record_exception(ValueError("declined"))
assert provider.force_flush()
assert [event["exception"]["values"][0]["value"] for event in captured] == ["declined"]
