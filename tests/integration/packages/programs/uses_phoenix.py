"""arize-phoenix-otel, which derives its provider, processors and exporters from the SDK's, and prints their headers."""

import os

from phoenix.otel import register

for protocol, endpoint in (
    ("http/protobuf", os.environ["HTTP_ENDPOINT"] + "/v1/traces"),
    ("grpc", os.environ["GRPC_ENDPOINT"]),
):
    provider = register(
        endpoint=endpoint,
        protocol=protocol,
        project_name="shop",
        batch=True,
        headers={"api-key": "key"},
        set_global_tracer_provider=False,
    )
    tracer = provider.get_tracer("shop")

    @tracer.chain
    def answer(question: str) -> str:
        return f"about {question}"

    with tracer.start_as_current_span("ask", openinference_span_kind="agent") as span:
        span.set_input("tea?")
        span.set_output(answer("tea?"))
        span.set_status("OK")
    assert provider.force_flush()
    provider.shutdown()
