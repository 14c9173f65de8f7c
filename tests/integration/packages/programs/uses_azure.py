"""azure-core, whose tracer and policies make spans by the API."""

import contextlib
import os

from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import DistributedTracingPolicy
from azure.core.pipeline.transport import HttpRequest, RequestsTransport
from azure.core.settings import settings
from azure.core.tracing.decorator import distributed_trace
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(os.environ["HTTP_ENDPOINT"] + "/v1/traces")))
trace.set_tracer_provider(provider)
settings.tracing_enabled = True


LIBRARY = {"library_name": "shop", "library_version": "1"}


class Client:
    _instrumentation_config = LIBRARY

    @distributed_trace
    def order(self) -> int:
        policy = DistributedTracingPolicy(instrumentation_config=LIBRARY)
        with Pipeline(RequestsTransport(), [policy]) as pipeline:
            # The receiver refuses GET: the span has an error.
            return pipeline.run(HttpRequest("GET", os.environ["HTTP_ENDPOINT"] + "/stock")).http_response.status_code

    @distributed_trace(name_of_span="payment")
    def pay(self) -> None:
        raise ValueError("declined")


Client().order()
with contextlib.suppress(ValueError):
    Client().pay()
assert provider.force_flush()
