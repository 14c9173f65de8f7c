"""What ``opentelemetry-instrumentation-fastapi`` runs in each request beside ASGI's."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from fastapi import routing
from fastapi.routing import APIRoute, APIWebSocketRoute
from opentelemetry.instrumentation import fastapi as contrib
from starlette.routing import Route

from otel_rs._imported import is_imported
from otel_rs.instrument._routes import Routes
from otel_rs.instrument.known_releases import are_known


def _matches(route: Any, scope: Any) -> Any:
    return Route.matches(route, scope) if isinstance(route, Route) else route.matches(scope)


def _included() -> tuple[Any, tuple[type, ...]]:
    """FastAPI's classes for routers that an application includes, in a release that is known, and those of their
    routes."""
    if not are_known("fastapi.routing"):
        return None, ()
    router, context = routing._IncludedRouter, routing._EffectiveRouteContext
    return SimpleNamespace(router=router, context=context, route=APIRoute), (context,)


_routers, _contexts = _included()
_routes = Routes(
    contrib,
    APIRoute,
    APIWebSocketRoute,
    *_contexts,
    included=_routers,
    matches=_matches,
    behind=contrib._flatten_routes,
    method="sanitize_method",
    # A part of another application, which has said what it found.
    inner="fastapi",
)


def route_details(original: Any) -> Callable[[Any], str | None]:
    """`_get_route_details`: the path of the route."""
    return _routes.route_details(original)


def span_details(_original: Any) -> Callable[[Any], tuple[str, dict[str, str]]]:
    """`_get_default_span_details`: the name of a request's span."""
    return _routes.span_details()


is_imported(__name__)
