"""One propagation with the stock propagators and with the native methods, and what can be seen of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import Span
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


def stock_of(propagator: type[Any]) -> type[Any]:
    """A class of its own, with the methods from before the installation."""
    stock = {"extract": propagator.extract, "inject": propagator.inject}
    return type(propagator.__name__, (propagator,), stock)


# The test modules are imported before anything is installed.
STOCK = {cls: stock_of(cls) for cls in (TraceContextTextMapPropagator, W3CBaggagePropagator, CompositePropagator)}
assert all(type(cls.extract).__name__ == "function" for cls in STOCK.values())

Make = Callable[[dict[Any, Any]], Any]

PROPAGATORS: dict[str, Make] = {
    "tracecontext": lambda classes: classes[TraceContextTextMapPropagator](),
    "baggage": lambda classes: classes[W3CBaggagePropagator](),
    "composite": lambda classes: classes[CompositePropagator](
        [classes[TraceContextTextMapPropagator](), classes[W3CBaggagePropagator]()]
    ),
    "reversed": lambda classes: classes[CompositePropagator](
        (classes[W3CBaggagePropagator](), classes[TraceContextTextMapPropagator]())
    ),
    "nothing": lambda classes: classes[CompositePropagator]([]),
}


def both(name: str) -> tuple[Any, Any]:
    """The stock propagator of that name, and the native one."""
    make = PROPAGATORS[name]
    return make(STOCK), make({cls: cls for cls in STOCK})


@dataclass
class Seen:
    """What the application sees."""

    returned: Any
    raised: str | None
    logged: list[tuple[str, int, str]]

    def without_log(self) -> tuple[Any, str | None]:
        return self.returned, self.raised


def seen(work: Callable[[], Any]) -> Seen:
    with logged() as lines:
        try:
            returned, raised = shown(work()), None
        except Exception as error:
            returned, raised = None, f"{type(error).__name__}: {error}"
    return Seen(returned, raised, lines)


@contextmanager
def logged() -> Iterator[list[tuple[str, int, str]]]:
    lines: list[tuple[str, int, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.name, record.levelno, record.getMessage()))

    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(handler)


def shown(context: Any) -> Any:
    """A context in a form that compares: spans of the API do not."""
    if not isinstance(context, dict):
        return context
    return type(context), [(key, span(value) if key == _SPAN_KEY else value) for key, value in context.items()]


def span(value: Any) -> Any:
    if not isinstance(value, Span):
        return value
    context = value.get_span_context()
    state = context.trace_state
    kinds = type(value), type(context), type(context.trace_flags), type(state)
    return kinds, tuple(context)[:4], list(state.items()), context.is_valid, vars(value).keys()
