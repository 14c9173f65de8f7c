"""Upstream's modules of the OTLP exporters where their packages are not installed: a program can then import our
exporters by upstream's names with otel-rs alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_PROTO = "opentelemetry.exporter.otlp.proto"

# Packages that several distributions put modules into.
_NAMESPACES = ("opentelemetry.exporter", "opentelemetry.exporter.otlp", _PROTO)


def _grpc(exporter: str) -> dict[str, Any]:
    from otel_rs.exporter.otlp import Compression, grpc

    return {exporter: getattr(grpc, exporter), "Compression": Compression}


def _http(exporter: str, signal: str) -> dict[str, Any]:
    from otel_rs.exporter.otlp import Compression, http

    return {
        exporter: getattr(http, exporter),
        "Compression": Compression,
        "DEFAULT_COMPRESSION": Compression.NoCompression,
        "DEFAULT_ENDPOINT": "http://localhost:4318/",
        f"DEFAULT_{signal.upper()}_EXPORT_PATH": f"v1/{signal}",
        "DEFAULT_TIMEOUT": 10,
    }


def _http_package() -> dict[str, Any]:
    from otel_rs.exporter.otlp import Compression

    return {"Compression": Compression}


# Their public names.
_MODULES: dict[str, Callable[[], dict[str, Any]]] = {
    f"{_PROTO}.grpc": dict,
    f"{_PROTO}.grpc.trace_exporter": lambda: _grpc("OTLPSpanExporter"),
    f"{_PROTO}.grpc.metric_exporter": lambda: _grpc("OTLPMetricExporter"),
    f"{_PROTO}.grpc._log_exporter": lambda: _grpc("OTLPLogExporter"),
    f"{_PROTO}.http": _http_package,
    f"{_PROTO}.http.trace_exporter": lambda: _http("OTLPSpanExporter", "traces"),
    f"{_PROTO}.http.metric_exporter": lambda: _http("OTLPMetricExporter", "metrics"),
    f"{_PROTO}.http._log_exporter": lambda: _http("OTLPLogExporter", "logs"),
}


class StandIns:
    """Modules that nobody finds."""

    names: tuple[str, ...] = (*_NAMESPACES, *_MODULES)

    def concerns(self, fullname: str, _target: ModuleType | None) -> bool:
        return fullname.startswith(_NAMESPACES[0])

    def changed(self, fullname: str, _target: ModuleType | None, spec: ModuleSpec | None) -> ModuleSpec | None:
        if spec is not None:
            return spec
        if fullname in _NAMESPACES:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = _Folders(fullname)  # type: ignore[assignment]  # iterated over alone
            return spec
        if fullname in _MODULES:
            # All are packages: `from package import name` asks here for a name that they lack.
            return ModuleSpec(fullname, _StandInLoader(), is_package=True)
        parent, _, name = fullname.rpartition(".")
        if _is_stand_in(parent):
            raise ModuleNotFoundError(_missing(parent, name), name=_package(parent))
        return None

    def remove_modules(self) -> None:
        """Removes what was made, and what was made only to hold it."""
        for name in reversed(_MODULES):
            if _is_stand_in(name):
                _remove(name)
        for name in reversed(_NAMESPACES):
            is_ours = isinstance(getattr(sys.modules.get(name), "__path__", None), _Folders)
            if is_ours and not any(other.startswith(f"{name}.") for other in list(sys.modules)):
                _remove(name)


class _StandInLoader(Loader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_MODULES[module.__name__]())
        module.__getattr__ = _Missing(module.__name__)  # type: ignore[method-assign]


class _Missing:
    """A module's ``__getattr__`` that says which package has the other names."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __call__(self, name: str) -> Any:
        if name.startswith("__"):  # import machinery and tools ask every module for these
            raise AttributeError(f"module {self._module!r} has no attribute {name!r}")
        raise AttributeError(_missing(self._module, name))


class _Folders:
    """The path of a namespace package that has no folder yet: a later entry of ``sys.path`` may have one."""

    def __init__(self, package: str) -> None:
        self._parent, _, self._folder = package.rpartition(".")

    def __iter__(self) -> Iterator[str]:
        for entry in sys.modules[self._parent].__path__:
            folder = os.path.join(entry, self._folder)
            if os.path.isdir(folder):
                yield folder


def _is_stand_in(name: str) -> bool:
    module = sys.modules.get(name) if name in _MODULES else None
    return isinstance(module, ModuleType) and isinstance(vars(module).get("__getattr__"), _Missing)


def _package(module: str) -> str:
    """``opentelemetry.exporter.otlp.proto.grpc``, or ``.http``."""
    return ".".join(module.split(".")[:5])


def _missing(module: str, name: str) -> str:
    distribution = _package(module).replace(".", "-")
    return (
        f"otel-rs has no {name!r} under the name {module!r}; if upstream has, install {distribution}, "
        "which is not installed"
    )


def _remove(name: str) -> None:
    module = sys.modules.pop(name)
    parent, _, child = name.rpartition(".")
    if vars(sys.modules.get(parent, module)).get(child) is module:
        delattr(sys.modules[parent], child)
