"""Which of an application's routes a request takes, as the instrumentations of Starlette and FastAPI find it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from starlette import __version__ as starlette_version
from starlette.applications import Starlette
from starlette.routing import Match, Mount, Route, WebSocketRoute

from otel_rs._native import AsgiRoutes
from otel_rs.instrument._originals import originals

# Releases whose routes match by their regular expression.
_is_known_starlette = (0, 40) <= tuple(int(part) for part in starlette_version.split(".")[:2]) < (2, 0)

get_route_path: Callable[[Any], str] | None = None
if _is_known_starlette:
    from starlette._utils import get_route_path


def _is_original(kind: type, matches: Any) -> bool:
    """Whether a class matches by a method of the modules that it and its bases are of."""
    homes = [each.__module__ for each in kind.__mro__]
    return type(matches) is FunctionType and matches.__globals__["__name__"] in homes


def _ask_included(route: Any, scope: Any, found: str | None) -> tuple[bool, str | None]:
    """As `Routes._ask`, of a route of an included router: a `RouteContext` has no path where that has none."""
    match, _ = route.matches(scope)
    if match == Match.FULL:
        return True, getattr(route, "path", None)
    return False, getattr(route, "path", None) if match == Match.PARTIAL else found


class Routes:
    """Finds the route that a request takes, and names the request's span after it.

    `classes`: those whose `matches` asks Starlette's class, which they derive from. What is of another class is asked
    by `matches` as contrib does, and so are the routes `behind` it. `included`: FastAPI's classes for routers that an
    application includes. `method`: contrib's function for the method of a
    request. `inner`: the key of a scope that leaves the request to contrib.
    """

    def __init__(
        self,
        contrib: ModuleType,
        *classes: type,
        matches: Callable[[Any, Any], Any],
        behind: Callable[[list[Any]], Iterable[Any]] = list,
        included: Any = None,
        method: str | None = None,
        inner: str | None = None,
    ) -> None:
        self._matches = matches
        self._behind = behind
        known = (Route, WebSocketRoute, Mount, *classes)
        found: list[Any] = [each.matches for each in known]  # type: ignore[attr-defined]
        are_known = _is_known_starlette and all(map(_is_original, known, found))
        pairs = zip(known, found, strict=True) if are_known else ()
        self._native = AsgiRoutes(
            SimpleNamespace(
                classes=[SimpleNamespace(**{"class": each, "matches": its}) for each, its in pairs],
                route=Route,
                routes=Starlette.routes,
                get_route_path=get_route_path,
                ask=self._ask,
                ask_included=_ask_included,
                included=included,
                convertors="starlette.convertors",
                route_details=originals(contrib, "_get_route_details"),
                method=originals(contrib, method) if method else None,
                inner=inner,
                in_contrib=self._in_contrib,
            )
        )

    def _ask(self, route: Any, scope: Any, found: str | None) -> tuple[bool, str | None]:
        """Whether a request takes a route, or one behind it, and that one's path; or the best one `found` so far."""
        for each in self._behind([route]):
            match, _ = self._matches(each, scope)
            if match == Match.FULL:
                # One by the name of a host has no path.
                return True, getattr(each, "path", scope.get("path"))
            if match == Match.PARTIAL:
                found = each.path
        return False, found

    def _in_contrib(self, scope: Any) -> str | None:
        return self._original(scope)

    def route_details(self, original: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        self._original = original
        find = self._native.path

        def _get_route_details(scope: Any) -> str | None:
            return find(scope)

        return _get_route_details

    def span_details(self) -> Callable[[Any], tuple[str, dict[str, str]]]:
        return self._native
