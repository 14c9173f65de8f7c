"""Variables that contrib reads in each request, so that a program may set them at any time."""

from __future__ import annotations

import os
from collections.abc import Callable

from otel_rs._native import Variable


def reader(name: str) -> Callable[[], object]:
    """A function that returns the variable's value, or None: encoded, as the program cannot change it."""
    values = getattr(os.environ, "_data", None)
    encode = getattr(os.environ, "encodekey", None)
    if not isinstance(values, dict) or encode is None:
        return lambda: os.environ.get(name)
    return Variable(values, encode(name))
