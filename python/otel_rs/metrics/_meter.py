"""The meter: upstream's, which makes native instruments."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import _internal as upstream
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_rs.metrics import _instruments
from otel_rs.metrics._consumer import MeasurementConsumer
from otel_rs.metrics._instruments import Switch

_logger = logging.getLogger(__name__)


class Meter(upstream.Meter):
    """Makes instruments. Made by ``MeterProvider.get_meter``; parameters as ``opentelemetry.sdk.metrics.Meter``.

    Specification: https://opentelemetry.io/docs/specs/otel/metrics/api/#meter
    """

    def __init__(
        self,
        instrumentation_scope: InstrumentationScope,
        measurement_consumer: MeasurementConsumer,
        *,
        _meter_config: upstream._MeterConfig | None = None,
    ) -> None:
        super().__init__(instrumentation_scope, measurement_consumer, _meter_config=_meter_config)
        # Where somebody else's consumer takes the measurements, the instruments are upstream's.
        self._is_native = isinstance(measurement_consumer, MeasurementConsumer)
        if self._is_native:
            self._meter_config: Any = Switch(_meter_config or upstream._MeterConfig.default())

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        if not isinstance(self, Meter):  # borrowed by another class
            return upstream.Meter.create_counter(self, name, unit, description)
        made: api.Counter = self._instrument(_instruments._Counter, name, unit, description)
        return made

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        if not isinstance(self, Meter):  # borrowed by another class
            return upstream.Meter.create_up_down_counter(self, name, unit, description)
        made: api.UpDownCounter = self._instrument(_instruments._UpDownCounter, name, unit, description)
        return made

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> api._Gauge:
        if not isinstance(self, Meter):  # borrowed by another class
            return upstream.Meter.create_gauge(self, name, unit, description)
        made: api._Gauge = self._instrument(_instruments._Gauge, name, unit, description)
        return made

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        if not isinstance(self, Meter):  # borrowed by another class
            return upstream.Meter.create_histogram(
                self,
                name,
                unit,
                description,
                explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory,
            )
        boundaries = _checked(explicit_bucket_boundaries_advisory)
        made: api.Histogram = self._instrument(_instruments._Histogram, name, unit, description, boundaries)
        return made

    def _instrument(
        self, kind: Any, name: str, unit: str, description: str, boundaries: Sequence[float] | None = None
    ) -> Any:
        """The instrument of this name, kind, unit and description, made at the first call."""
        kind = kind if self._is_native else _instruments.UPSTREAM[kind]
        arguments = () if boundaries is None else (boundaries,)
        with self._instrument_registration_lock:
            status = self._register_instrument(name, kind, unit, description, *arguments)
            if not status.already_registered:
                self._instrument_id_instrument[status.instrument_id] = kind(
                    name,
                    self._instrumentation_scope,
                    self._measurement_consumer,
                    unit,
                    description,
                    *arguments,
                    _meter_config=self._meter_config,
                )
            instrument = self._instrument_id_instrument[status.instrument_id]
        if status.conflict:
            api_name = getattr(api, kind.__name__, None) or getattr(api, kind.__name__.lstrip("_"))
            self._log_instrument_registration_conflict(name, api_name.__name__, unit, description, status)
        return instrument


def _checked(boundaries: Any) -> Sequence[float] | None:
    """Boundaries that cannot be used are none, with a warning."""
    if boundaries is None:
        return None
    try:
        valid = isinstance(boundaries, Sequence) and all(isinstance(bound, float | int) for bound in boundaries)
    except (KeyError, TypeError):
        valid = False
    if not valid:
        _logger.warning("explicit_bucket_boundaries_advisory must be a sequence of numbers")
        return None
    checked: Sequence[float] = boundaries
    if not _is_increasing(checked):
        _logger.warning("explicit_bucket_boundaries_advisory must be finite and strictly increasing: %s", checked)
        return None
    return checked


def _is_increasing(boundaries: Sequence[float]) -> bool:
    try:
        return all(map(math.isfinite, boundaries)) and all(low < high for low, high in pairwise(boundaries))
    except OverflowError:  # an integer beyond doubles
        return False
