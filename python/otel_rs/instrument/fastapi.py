"""What ``opentelemetry-instrumentation-fastapi`` runs in each request beside ASGI's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute, APIWebSocketRoute
from opentelemetry.instrumentation import fastapi as contrib
from starlette.routing import Route

from otel_rs._imported import is_imported
from otel_rs.instrument._routes import route_finder


def route_details(original: Any) -> Callable[[Any], str | None]:
    """`_get_route_details`: the path of the route."""

    def matches(route: Any, scope: Any) -> Any:
        return Route.matches(route, scope) if isinstance(route, Route) else route.matches(scope)

    find = route_finder(APIRoute, APIWebSocketRoute, matches=matches, behind=contrib._flatten_routes)

    def _get_route_details(scope: Any) -> str | None:
        # A part of another application, which has said what it found.
        if "fastapi" in scope:
            return original(scope)  # type: ignore[no-any-return]
        return find(scope["app"].routes, scope)

    return _get_route_details


is_imported(__name__)
