"""``importlib.reload`` leaves this package's modules as they are, from the first provider, exporter or ``install`` on.

A module that ran again would make its classes again: what the program holds would be of other classes than what it
makes from then on, and what `install` put into upstream's modules would be of neither.
"""

from __future__ import annotations

import copy
from importlib.machinery import ModuleSpec
from types import ModuleType

from otel_rs._finder import FINDER


class _Reload:
    """Gives modules of this package that are loaded already a loader that does not run them."""

    def concerns(self, fullname: str, target: ModuleType | None) -> bool:
        return target is not None and target.__spec__ is not None and fullname.partition(".")[0] == __package__

    def changed(self, fullname: str, target: ModuleType | None, spec: ModuleSpec | None) -> ModuleSpec | None:
        if target is None or target.__spec__ is None:
            return spec
        spec = copy.copy(target.__spec__)
        spec.loader = _LoadedBefore(target.__spec__)  # type: ignore[assignment]
        return spec


class _LoadedBefore:
    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
        module.__loader__ = self._spec.loader


_reload = _Reload()


def keep_modules() -> None:
    FINDER.add(_reload, [__name__])
