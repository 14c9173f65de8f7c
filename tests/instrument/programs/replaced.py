"""What a program may put in the place of public functions of contrib's, and add to its lists."""

from __future__ import annotations

import functools
import sys
from typing import Any

from opentelemetry.util import http
from opentelemetry.util.http import constants


def replace(place: Any, *names: str) -> None:
    """With the argument `replaced`: by functions that do a little more."""
    if "replaced" in sys.argv:
        for name in names:
            setattr(place, name, _doing_more(name, getattr(place, name)))


def _doing_more(name: str, function: Any) -> Any:
    @functools.wraps(function)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        match result:
            case None:
                # Of a span.
                args[0].set_attribute("done by", name)
            case str():
                return f"my {result}"
            case dict():
                result["done by"] = name
            case host, port, url:
                return host, port, f"{url}/mine"
        return result

    return replacement


def add_to_lists() -> None:
    """With the argument `lists`."""
    if "lists" in sys.argv:
        http.PARAMS_TO_REDACT.append("token")
        constants.BOT_PATTERNS.append("mozilla")
