"""Names for the values of parametrized tests."""

from __future__ import annotations

import re


def same_in_every_run(value: object) -> str:
    """The value's `repr` without addresses: the processes that share a run must give a test the same name."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
