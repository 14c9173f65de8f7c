"""What ``opentelemetry-instrumentation-starlette`` runs in each request beside ASGI's."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from otel_rs._imported import is_imported
from otel_rs.instrument._routes import Routes

_contrib = import_module("opentelemetry.instrumentation.starlette")
_routes = Routes(_contrib, matches=lambda route, scope: route.matches(scope))


def route_details(original: Any) -> Callable[[Any], str | None]:
    """`_get_route_details`: the path of the route."""
    return _routes.route_details(original)


def span_details(_original: Any) -> Callable[[Any], tuple[str, dict[str, str]]]:
    """`_get_default_span_details`: the name of a request's span."""
    return _routes.span_details()


is_imported(__name__)
