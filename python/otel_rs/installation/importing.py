"""Reaches the modules that are imported after `install`."""

from __future__ import annotations

from collections.abc import Callable, Container
from importlib.abc import InspectLoader, Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

from otel_rs.installation.on_demand import RunOnDemand

Put = Callable[[ModuleType], None]


class NativeModules:
    """Finds the modules as everybody would, and gives them a loader that puts the native objects in."""

    def __init__(self, wanted: Container[str], deferred: Container[str], put: Put) -> None:
        self._wanted = wanted
        self._deferred = deferred
        self._put = put

    def concerns(self, fullname: str, _target: ModuleType | None) -> bool:
        return fullname in self._wanted

    def changed(self, fullname: str, _target: ModuleType | None, spec: ModuleSpec | None) -> ModuleSpec | None:
        if spec is None or spec.loader is None:
            return spec
        if fullname in self._deferred and isinstance(spec.loader, InspectLoader):
            spec.loader = _DeferredLoader(spec.loader, self._put)
        else:
            spec.loader = _ReplacingLoader(spec.loader, self._put)
        return spec


class _ReplacingLoader(Loader):
    """Runs the module, then replaces."""

    def __init__(self, loader: Loader, put: Put) -> None:
        self._loader = loader
        self._put = put

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        restore_loader(module, self._loader)
        self._loader.exec_module(module)
        self._put(module)


class _DeferredLoader(Loader):
    """Replaces, and leaves running the module to whoever asks for another of its names: so that grpcio, protobuf and
    requests are not imported for nothing."""

    def __init__(self, loader: InspectLoader, put: Put) -> None:
        self._loader = loader
        self._put = put

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        restore_loader(module, self._loader)
        module.__getattr__ = RunOnDemand(module, self._loader, self._put)  # type: ignore[method-assign]
        self._put(module)


def restore_loader(module: ModuleType, loader: Loader) -> None:
    """Leaves the module as if its own loader had been found: for its source, its resources, and what reads them."""
    module.__loader__ = loader
    if module.__spec__ is not None:
        module.__spec__.loader = loader
