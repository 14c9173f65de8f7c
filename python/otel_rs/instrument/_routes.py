"""Which of an application's routes a request takes, as the instrumentations of Starlette and FastAPI find it out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter, is_
from types import FunctionType
from typing import Any

from starlette import __version__ as starlette_version
from starlette.routing import Match, Mount, Route, WebSocketRoute

# Releases whose routes match by their regular expression, with these convertors.
_is_known_starlette = (0, 40) <= tuple(int(part) for part in starlette_version.split(".")[:2]) < (2, 0)
_CONVERTORS = "starlette.convertors"

if _is_known_starlette:
    from starlette._utils import get_route_path


_matches_of = attrgetter("matches")


def _is_original(kind: type, matches: Any) -> bool:
    """Whether a class matches by a method of the modules that it and its bases are of."""
    homes = [each.__module__ for each in kind.__mro__]
    return type(matches) is FunctionType and matches.__globals__["__name__"] in homes


def route_finder(
    *classes: type, matches: Callable[[Any, Any], Any], behind: Callable[[list[Any]], Iterable[Any]] = list
) -> Callable[[Iterable[Any], Any], str | None]:
    """Finds the path of the route that a request takes.

    `classes`: those whose `matches` asks Starlette's class, which they derive from. What is of another class is asked
    by `matches` as contrib does, and so are the routes `behind` it.
    """
    known = (Route, WebSocketRoute, Mount, *classes)
    originals = [each.matches for each in known]  # type: ignore[attr-defined]
    are_known = _is_known_starlette and all(map(_is_original, known, originals))

    def are_usual() -> bool:
        """Whether no program has replaced what matches."""
        return are_known and all(map(is_, map(_matches_of, known), originals))

    def takes(route: Any, scope: Any) -> bool:
        """Whether it is this one, which does not miss. If that is not sure, it has to be asked."""
        return (
            isinstance(route, Route)
            and scope["type"] == "http"
            and not (route.methods and scope["method"] not in route.methods)
            and all(type(convertor).__module__ == _CONVERTORS for convertor in route.param_convertors.values())
        )

    def find(routes: Iterable[Any], scope: Any) -> str | None:
        found: str | None = None
        usual = known if are_usual() else ()
        path = get_route_path(scope) if usual else ""
        for route in routes:
            if type(route) in usual:
                if route.path_regex.match(path) is None:
                    continue
                if takes(route, scope):
                    return route.path  # type: ignore[no-any-return]
            for each in behind([route]):
                match, _ = matches(each, scope)
                if match == Match.FULL:
                    # One by the name of a host has no path.
                    return getattr(each, "path", scope.get("path"))  # type: ignore[no-any-return]
                if match == Match.PARTIAL:
                    found = each.path
        return found

    return find
