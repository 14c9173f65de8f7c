"""An instrumentor of the company's own."""

import json
from collections.abc import Callable, Collection
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor


class OrdersInstrumentor(BaseInstrumentor):
    """Gives each `json.loads` a span."""

    _original: Callable[..., Any]

    def instrumentation_dependencies(self) -> Collection[str]:
        return []

    def _instrument(self, **kwargs: Any) -> None:
        original = OrdersInstrumentor._original = json.loads
        tracer = trace.get_tracer("acme.orders")

        def loads(*arguments: Any, **options: Any) -> Any:
            with tracer.start_as_current_span("json.loads"):
                return original(*arguments, **options)

        json.loads = loads

    def _uninstrument(self, **kwargs: Any) -> None:
        json.loads = OrdersInstrumentor._original
