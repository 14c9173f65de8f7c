"""What ``opentelemetry-instrumentation-starlette`` runs in each request beside ASGI's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_rs._imported import is_imported
from otel_rs.instrument._routes import route_finder


def route_details(_original: Any) -> Callable[[Any], str | None]:
    """`_get_route_details`: the path of the route."""
    find = route_finder(matches=lambda route, scope: route.matches(scope))

    def _get_route_details(scope: Any) -> str | None:
        return find(scope["app"].routes, scope)

    return _get_route_details


is_imported(__name__)
