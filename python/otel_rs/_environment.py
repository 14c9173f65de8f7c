"""Settings of our own from the environment."""

from __future__ import annotations

import logging
import os
import sys

_logger = logging.getLogger(__name__)


def positive_number(variable: str, default: int, of: str = "") -> int:
    """The variable's value; where it is none, a line says what would be and the default counts."""
    value = os.environ.get(variable, "").strip()
    if not value:
        return default
    if value.isdecimal() and int(value) > 0:
        return min(int(value), sys.maxsize)
    accepted = f"a number of {of}" if of else "a number"
    _logger.error("%s is %r; accepted: %s above zero. Defaulting to %d.", variable, value, accepted, default)
    return default
