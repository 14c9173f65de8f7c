"""``importlib.reload`` leaves this package's modules as they are, from the first provider, exporter or ``install`` on.

A module that ran again would make its classes again: what the program holds would be of other classes than what it
makes from then on, and what `install` put into upstream's modules would be of neither.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


# Without the base classes of importlib.abc, which imports a dozen modules at every start.
class _ReloadFinder:
    """Finds modules of this package that are loaded already, for a loader that does not run them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # Only a reload has a target.
        if target is None or target.__spec__ is None or fullname.partition(".")[0] != __package__:
            return None
        spec = copy.copy(target.__spec__)
        spec.loader = _LoadedBefore(target.__spec__)  # type: ignore[assignment]
        return spec


class _LoadedBefore:
    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
        module.__loader__ = self._spec.loader


_finder = _ReloadFinder()


def keep_modules() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
