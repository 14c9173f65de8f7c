"""The instruments: upstream's classes, whose measurements are taken natively."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import Synchronous
from opentelemetry.sdk.metrics._internal import instrument as upstream
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from typing_extensions import Self

from otel_rs import _native


class Switch(_native.MeterSwitch):
    """A meter's configuration, which its instruments share; upstream's `_ProxyMeterConfig`."""

    def __new__(cls, config: Any) -> Switch:
        return super().__new__(cls, config.is_enabled)

    def __init__(self, config: Any) -> None:
        self._config = config

    @property
    def is_enabled(self) -> bool:
        enabled: bool = self._config.is_enabled
        return enabled

    def update(self, config: Any) -> None:
        self._config = config
        self._set(config.is_enabled)


class _Synchronous:
    """What synchronous instruments have besides a native class and upstream's."""

    def __new__(
        cls,
        name: str,
        instrumentation_scope: InstrumentationScope,
        measurement_consumer: Any,
        *args: Any,
        _meter_config: Switch | None = None,
        **kwargs: Any,
    ) -> Any:
        native: Any = super()
        return native.__new__(cls, measurement_consumer, _meter_config or _native.MeterSwitch(True))

    def __copy__(self) -> Self:
        # Upstream's copies share everything with it, too.
        return self


class _Counter(_Synchronous, _native.Counter, upstream._Counter):
    pass


class _UpDownCounter(_Synchronous, _native.UpDownCounter, upstream._UpDownCounter):
    pass


class _Histogram(_Synchronous, _native.Histogram, upstream._Histogram):
    pass


class _Gauge(_Synchronous, _native.Gauge, upstream._Gauge):
    pass


# Of native classes, the class of upstream's that readers know them by.
UPSTREAM: dict[type, type] = {
    _Counter: upstream._Counter,
    _UpDownCounter: upstream._UpDownCounter,
    _Histogram: upstream._Histogram,
    _Gauge: upstream._Gauge,
}


def upstream_class(instrument: Any) -> type:
    """The class of upstream's that readers know the instrument by."""
    return UPSTREAM.get(type(instrument), type(instrument))


def is_synchronous(instrument: Any) -> bool:
    return isinstance(instrument, Synchronous)
