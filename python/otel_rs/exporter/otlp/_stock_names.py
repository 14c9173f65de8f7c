"""The private names of the stock exporters, which programs and packages read, set, call and override.

Each is an attribute of our classes too, and answers as the stock exporter's does: from the exporter's twin. The names
are those of the release that the development set pins; a test compares them with its classes.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Protocol, TypeVar

from otel_rs import _native
from otel_rs.exporter.otlp._stock import StockMissingError
from otel_rs.exporter.otlp._twin import Twin


class Twinned(Protocol):
    """An exporter of ours."""

    _stock_names: ClassVar[frozenset[str]]
    _twin: Twin
    _native: _native.OtlpExporter

    def _has_twin(self) -> bool: ...
    def _stock(self) -> Any: ...
    @classmethod
    def _stock_class(cls) -> type[Any]: ...
    def _let_stock_export(self, level: int, why: str) -> None: ...


class StockName:
    """An attribute that the stock exporter has. A program that sets it sets the twin's, which exports from then on.

    Args:
        hands_out: Whether who gets the value can change it, so that the twin exports from then on as well.
    """

    def __init__(self, *, hands_out: bool = False) -> None:
        self._hands_out = hands_out

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, exporter: Twinned | None, owner: type[Twinned]) -> Any:
        if exporter is None:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}")
        if not exporter._has_twin():
            raise AttributeError(f"{self._name}: the constructor of {owner.__name__} has not been called")
        twin = exporter._twin
        if twin.stock is None and self._name in twin.known:
            return twin.known[self._name]
        value = getattr(_stock_of(exporter, self._name), self._name)
        if self._hands_out:
            self._take_over(exporter, "asked for")
        return value

    def __set__(self, exporter: Twinned, value: Any) -> None:
        # A subclass may set one before it calls the constructor, which sets it again, as the stock one does.
        if exporter._has_twin():
            setattr(_stock_of(exporter, self._name), self._name, value)
            self._take_over(exporter, "set")

    def __delete__(self, exporter: Twinned) -> None:
        delattr(_stock_of(exporter, self._name), self._name)
        self._take_over(exporter, "deleted")

    def _take_over(self, exporter: Twinned, what: str) -> None:
        if not exporter._twin.in_charge:
            exporter._let_stock_export(logging.INFO, f"the attribute {self._name} was {what}")


class ShutdownName(StockName):
    """``_shutdown``, whether it takes no more."""

    def __get__(self, exporter: Twinned | None, owner: type[Twinned]) -> Any:
        if exporter is None or not exporter._has_twin() or exporter._twin.in_charge:
            return super().__get__(exporter, owner)
        return exporter._native.is_shut_down()

    def __set__(self, exporter: Twinned, value: Any) -> None:
        if value and exporter._has_twin():
            exporter._native.shutdown()
            if (stock := exporter._twin.stock) is not None:
                stock._shutdown = value
        else:
            super().__set__(exporter, value)


class StockMethod(StockName):
    """A method or a property of the stock exporter. It is called with our exporter, whose attributes are the twin's, so
    that it finds what a subclass overrides."""

    def __get__(self, exporter: Twinned | None, owner: type[Twinned]) -> Any:
        if exporter is None:
            return getattr(self._stock_class_of(owner), self._name)
        set_on_it = vars(exporter._twin.stock) if exporter._has_twin() and exporter._twin.stock else {}
        if self._name in set_on_it:
            return set_on_it[self._name]
        return _static(self._stock_class_of(owner), self._name).__get__(exporter, owner)

    def _stock_class_of(self, owner: type[Twinned]) -> type[Any]:
        try:
            return owner._stock_class()
        except StockMissingError as error:
            raise AttributeError(f"{self._name} is an attribute of the stock exporter, and {error}") from error


def _stock_of(exporter: Twinned, name: str) -> Any:
    """The twin, for whoever asks for an attribute of it."""
    try:
        return exporter._stock()
    except StockMissingError as error:
        raise AttributeError(f"{name} is an attribute of the stock exporter, and {error}") from error
    except Exception as error:
        kind = type(error).__name__
        raise AttributeError(f"{name} is an attribute of the stock exporter, which raised {kind}") from error


_Class = TypeVar("_Class", bound=type)


def stock_names(cls: _Class) -> _Class:
    """For a class that consists of stock names: lists them, with those of its bases."""
    names = (name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, StockName))
    cls._stock_names = frozenset(names)  # type: ignore[attr-defined]
    return cls


def has_overridden_name(cls: type[Twinned]) -> bool:
    """Whether a subclass or a patch has put something into the place of a stock name, which an export has to use."""
    for base in cls.__mro__:
        if "_stock_names" in vars(base):
            return False
        if not cls._stock_names.isdisjoint(vars(base)):
            return True
    return False


def _static(cls: type, name: str) -> Any:
    return next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
