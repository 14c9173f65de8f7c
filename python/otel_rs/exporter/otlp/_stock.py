"""The stock exporters' classes, wherever `install` has put ours under their names."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from otel_rs.settings.table import Signal

_logger = logging.getLogger(__name__)

_MODULES: dict[Signal, tuple[str, str]] = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
_PACKAGES = {"grpc": "opentelemetry.exporter.otlp.proto.grpc", "http": "opentelemetry.exporter.otlp.proto.http"}

_replaced: dict[str, type[Any]] = {}


class StockMissingError(Exception):
    """The stock exporter cannot be imported."""


def remember(replaced: object) -> None:
    """What stood in a place that one of ours has taken."""
    if isinstance(replaced, type) and not replaced.__module__.startswith("otel_rs."):
        _replaced.setdefault(replaced.__module__, replaced)


def distribution(package: str) -> str:
    """What to install: ``grpc`` or ``http``."""
    return f"opentelemetry-exporter-otlp-proto-{package}"


def stock_class(package: str, signal: Signal) -> type[Any]:
    """Raises StockMissingError."""
    module_name, class_name = f"{_PACKAGES[package]}.{_MODULES[signal][0]}", _MODULES[signal][1]
    try:
        module = import_module(module_name)
        # Under `install` the module's file has not run yet. It runs for whoever wants all of its names.
        getattr(module, "__all__", None)
    except Exception as error:  # grpcio and protobuf raise several kinds when they are of the wrong version or make
        _logger.debug("%s cannot be imported", module_name, exc_info=error)
        raise StockMissingError(f"{module_name} cannot be imported: install {distribution(package)}") from error
    # A program may have put a class of its own there, one that derives from the stock one perhaps.
    put_there: type[Any] = vars(module).get(class_name, object)
    for found in (_replaced.get(module_name, object), *put_there.__mro__):
        if found.__module__ == module_name:
            return found
    raise StockMissingError(f"the stock {class_name} cannot be imported: install {distribution(package)}")


def stock_class_for(borrower: object, signal: Signal) -> type[Any]:
    """The stock class whose methods can use an object of another class that has borrowed ours: the one that it is like.

    The stock gRPC exporters alone have a channel. Raises StockMissingError.
    """
    return stock_class("grpc" if hasattr(borrower, "_channel") else "http", signal)
