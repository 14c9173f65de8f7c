"""What ``opentelemetry-instrumentation-httpx`` runs in each request."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from opentelemetry.instrumentation import httpx as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode

from otel_rs._imported import is_imported
from otel_rs._native import HttpxModule
from otel_rs.instrument import _conventions
from otel_rs.instrument._originals import originals
from otel_rs.instrument.known_releases import are_known

_HOOKS = ("request_hook", "response_hook")
_ASYNC_HOOKS = ("async_request_hook", "async_response_hook")


def handle_request(original: Any) -> Callable[..., Any]:
    """`_handle_request_wrapper`: a request of a `Client`."""

    def _handle_request_wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any, **options: Any) -> Any:
        request = _begin(args, options, _HOOKS)
        if request is None:
            return original(wrapped, instance, args, kwargs, **options)
        if request is False:
            return wrapped(*args, **kwargs)
        try:
            response = wrapped(*args, **kwargs)
        except BaseException as exception:
            request.fail(exception)
            raise
        request.finish(response)
        return response

    return staticmethod(_handle_request_wrapper)


def handle_async_request(original: Any) -> Callable[..., Awaitable[Any]]:
    """`_handle_async_request_wrapper`: a request of an `AsyncClient`."""

    async def _handle_async_request_wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any, **options: Any) -> Any:
        request = _begin(args, options, _ASYNC_HOOKS)
        if request is None:
            return await original(wrapped, instance, args, kwargs, **options)
        if request is False:
            return await wrapped(*args, **kwargs)
        try:
            response = await wrapped(*args, **kwargs)
        except BaseException as exception:
            request.fail(exception)
            raise
        request.finish(response)
        return response

    return staticmethod(_handle_async_request_wrapper)


def _observe(span: Any, response: Any, labels: dict[str, Any], options: dict[str, Any]) -> None:
    """What contrib does with a response, without hooks and captured headers."""
    module, mode = options["module"], options["sem_conv_opt_in_mode"]
    if not isinstance(response, (module.Response, tuple)):
        return
    code, headers, _, _, version = contrib._extract_response(response)
    contrib._apply_response_client_attributes_to_metrics(span, labels, code, version, mode)
    if span.is_recording():
        contrib._apply_response_client_attributes_to_span(span, code, version, mode, module, headers, None, None)


def _known(module: str, name: str) -> Any:
    """A class of a module whose release is known, unless a program has put another in its place."""
    found = getattr(sys.modules.get(module), name, None) if are_known(module) else None
    is_httpxs = isinstance(found, type) and found.__module__ in (module, "httpx") and found.__qualname__ == name
    return found if is_httpxs else None


_begin = HttpxModule(
    SimpleNamespace(
        contrib=vars(contrib),
        replaceable=originals(contrib, "redact_url", "sanitize_method"),
        conventions=[
            SimpleNamespace(mode=mode, old=old, new=new)
            for mode in _StabilityMode
            for old, new in (_conventions.reports(mode),)
        ],
        duration_old=_conventions.CLIENT_DURATION_OLD,
        duration_new=_conventions.CLIENT_DURATION_NEW,
        url=_known("httpx._urls", "URL"),
        parsed_url=_known("httpx._urlparse", "ParseResult"),
        headers=_known("httpx._models", "Headers"),
        make=object.__new__,
        observe=_observe,
    )
).begin


is_imported(__name__)
