"""What the OTLP exporters of all signals have in common."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from opentelemetry.metrics import MeterProvider

from otel_rs import exit
from otel_rs.exporter.otlp._config import ExporterConfig, Sources, make_native
from otel_rs.settings import read
from otel_rs.settings.table import INTERNAL_METRICS, Signal

if TYPE_CHECKING:
    from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

_logger = logging.getLogger(__name__)


class Arguments(Protocol):
    """The arguments that a protocol's exporters have in common."""

    def config(self, signal: Signal, max_data_points: int | None) -> tuple[ExporterConfig, Sources]: ...


class NativeExporter:
    """Base of the OTLP exporters: a native exporter, and its counters."""

    _signal: Signal
    _shutdown_logger: logging.Logger = _logger
    """Where a call after the shutdown is reported."""
    _metrics: ExporterMetrics | None = None

    def _make(
        self, arguments: Arguments, meter_provider: MeterProvider | None, max_data_points: int | None = None
    ) -> None:
        exit.arrange()
        config, sources = arguments.config(self._signal, max_data_points)
        self._native = make_native(config, sources)
        self._endpoint, self._timeout = config.endpoint, config.timeout
        self._measure(meter_provider)

    def _measure(self, meter_provider: MeterProvider | None) -> None:
        """The SDK's own metrics go to this provider, or to the global one, from now on."""
        if not read(INTERNAL_METRICS).value:
            return
        # Not imported where nobody measures.
        from otel_rs.exporter.otlp._exporter_metrics import ExporterMetrics

        self._record_metrics()
        self._metrics = ExporterMetrics(self._native, self._signal, self._endpoint, meter_provider)

    def _record_metrics(self) -> None:
        if self._metrics:
            self._metrics.record()

    def counts(self) -> dict[str, int]:
        """What became of what was given to it, by ``export`` and by processors: spans, data points
        or log records.

        ``exported`` the receiver accepted; ``rejected`` it refused in a request that it took;
        ``failed`` were in exports that failed; ``dropped`` were too large for the receiver each by itself;
        ``in_flight`` are in exports under way. ``retries`` are attempts after a first one that failed. ``bytes`` are
        those of the requests before compression, once whatever the number of attempts, and once more for the parts of
        a request that was too large.

        They are this process's: a forked child's start at zero.
        """
        return self._native.counts()

    def _refuses_after_shutdown(self) -> bool:
        """Whether it was shut down, which is logged."""
        if self._native.is_shut_down():
            self._shutdown_logger.warning("Exporter already shutdown, ignoring batch")
            return True
        return False

    def _shut_down(self) -> None:
        if not self._native.shutdown():
            self._shutdown_logger.warning("Exporter already shutdown, ignoring call")
        self._record_metrics()
