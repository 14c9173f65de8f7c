"""litellm's OpenTelemetry callback, which makes spans of calls to models."""

import os

import litellm
from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig
from opentelemetry import trace

litellm.callbacks = [
    OpenTelemetry(config=OpenTelemetryConfig(exporter="otlp_http", endpoint=os.environ["HTTP_ENDPOINT"] + "/v1/traces"))
]
litellm.completion(
    model="gpt-4o-mini", messages=[{"role": "user", "content": "tea?"}], mock_response="green", api_key="key"
)
# The callback runs on a thread of litellm's.
from litellm.litellm_core_utils.thread_pool_executor import executor  # noqa: E402

executor.shutdown(wait=True)
trace.get_tracer_provider().force_flush()
