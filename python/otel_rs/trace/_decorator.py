"""``start_as_current_span`` as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def in_span(tracer: Any, name: str, arguments: dict[str, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function or coroutine function so that every call runs in a span of its own."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span(name, **arguments):
                return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with tracer.start_as_current_span(name, **arguments):
            return function(*args, **kwargs)

    return call
