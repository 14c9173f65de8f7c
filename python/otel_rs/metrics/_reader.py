"""The periodic reader: upstream's, which a native one collects and exports for where the exporter is native."""

from __future__ import annotations

import logging
import os
from math import inf
from threading import TIMEOUT_MAX, Event, Lock, RLock, Thread, current_thread
from time import monotonic
from typing import Any

from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics._internal.export import PeriodicExportingMetricReader as Stock
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
from opentelemetry.util._once import Once

from otel_rs import _native, forks
from otel_rs._shown import shown
from otel_rs.settings import read
from otel_rs.settings.kinds import Number
from otel_rs.settings.reading import choose
from otel_rs.settings.table import INTERNAL_METRICS, METRIC_EXPORT_INTERVAL, METRIC_EXPORT_TIMEOUT

_logger = logging.getLogger(__name__)

# Arguments may have any size; what is no interval is refused by upstream's class.
_ANY_MILLIS = Number(unit="milliseconds", minimum=-inf, whole=False, infinite=True)

_DEFAULT_FLUSH_TIMEOUT_MILLIS = 10_000
_DEFAULT_SHUTDOWN_TIMEOUT_MILLIS = 30_000

# How long the thread of a reader waits before it asks again whether its export is done.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.001, 0.05


class ExportTimeoutError(MetricsTimeoutError):
    """What was collected could not be exported in time; the export goes on."""


class PeriodicExportingMetricReader(Stock):
    """Collects and exports at intervals. Behaves as ``opentelemetry.sdk.metrics.export``'s.

    Args:
        exporter: Where metrics go. For one of ``otel_rs.exporter.otlp`` a ``MeterProvider`` of ``otel_rs.metrics`` is
            collected natively, without the GIL; Python is asked for observable instruments, and for what only
            upstream's classes can do. Any other exporter is called from a Python thread, as by upstream.
        export_interval_millis: Time between two exports; ``math.inf`` exports only when somebody flushes. Default:
            ``OTEL_METRIC_EXPORT_INTERVAL``, 60000.
        export_timeout_millis: Longest time for one collection, and with a native exporter for one request. Default:
            ``OTEL_METRIC_EXPORT_TIMEOUT``, 30000.
        cardinality_limits: As upstream's, from opentelemetry-sdk 1.45.2 on.

    Raises:
        ValueError: The interval is not positive.

    Specification: https://opentelemetry.io/docs/specs/otel/metrics/sdk/#periodic-exporting-metricreader
    """

    native: _native.PeriodicReader | None = None
    """None where Python exports."""
    _asked_for_last = False
    """Whether Python's thread asked the native reader for what the shutdown exports."""
    _ticking: Thread | None = None
    """The thread, until there is another one."""

    def __init__(
        self,
        exporter: MetricExporter,
        export_interval_millis: float | None = None,
        export_timeout_millis: float | None = None,
        cardinality_limits: Any = None,
    ) -> None:
        # Not imported with the exporters' modules, which may be importing this one.
        from otel_rs.exporter.otlp._metrics import follow_exporter, takes_collections

        interval = choose(
            METRIC_EXPORT_INTERVAL, "export_interval_millis", export_interval_millis, argument_kind=_ANY_MILLIS
        ).value
        timeout = choose(
            METRIC_EXPORT_TIMEOUT, "export_timeout_millis", export_timeout_millis, argument_kind=_ANY_MILLIS
        ).value
        self._pid = os.getpid()
        # A thread that starts another one waits for it, and lets others run.
        self._starting = RLock()
        is_native = interval > 0 and takes_collections(exporter) and _is_as_here(type(self))
        # Upstream's thread, which it starts for an interval that ends, is started here when it is needed.
        limits = () if cardinality_limits is None else (cardinality_limits,)
        super().__init__(exporter, inf if is_native else interval, timeout, *limits)
        self._export_interval_millis = interval
        if is_native:
            self.native = _native.PeriodicReader(exporter._native, interval, timeout)  # type: ignore[attr-defined]
            follow_exporter(exporter, self)
            if read(INTERNAL_METRICS).value:
                # Upstream's `collect` measures itself.
                self.collect_in_python()

    def __repr__(self) -> str:
        return shown(self, "exporter", lambda: self._exporter)

    def _set_collect_callback(self, func: Any) -> None:  # type: ignore[misc]
        super()._set_collect_callback(func)
        # After the provider, whose Resource goes with what is collected.
        forks.call_in_children(self._handle_fork)
        if func is not None and not isinstance(getattr(func, "__self__", None), _native.MeasurementConsumer):
            self.collect_in_python()

    def collect_in_python(self) -> None:
        """From now on: something must be collected that only Python can collect."""
        if self.native is None or not 0 < self._export_interval_millis < inf:
            return
        with self._starting:
            if self._daemon_thread is None:
                self._start_thread()

    def _start_thread(self) -> None:
        thread = Thread(name="OtelPeriodicExportingMetricReader", target=self._ticker, daemon=True)
        self._ticking = thread
        try:
            thread.start()
        except RuntimeError as error:
            _logger.warning("Only what is native is collected at intervals: %s", error)
            return
        self._daemon_thread = thread
        if self.native is not None:
            self.native.tick_elsewhere(True)

    def _ticker(self) -> None:
        """As upstream's. What goes wrong in Python costs what Python collects, until the next interval."""
        seconds = self._export_interval_millis / 1e3
        try:
            while not self._shutdown_event.wait(seconds):
                self._tick(
                    self._export_timeout_millis, f"Metric collection timed out. Will try again after {seconds} seconds"
                )
            # One last collection before shutting down completely.
            self._tick(self._export_interval_millis, "Metric collection timed out.")
        except (SystemExit, KeyboardInterrupt) as error:
            # A callback's, which ends its thread; or a signal's handler's, which a greenlet must not keep to itself.
            if not self._shutdown_event.is_set():
                _logger.warning("%r ended the thread of a metric reader. Another one goes on", error)
                self._start_thread()
            raise

    def _tick(self, timeout_millis: float, timed_out: str) -> None:
        try:
            self.collect(timeout_millis=timeout_millis)
        except MetricsTimeoutError:
            _logger.warning(timed_out, exc_info=True)
        except Exception:
            _logger.exception("Metrics could not be collected")
        else:
            return
        if self.native is not None:
            self._export(self.native, None, timeout_millis)

    def exporter_left_native(self) -> None:
        """The stock exporter exports from now on, which takes Python's objects."""
        if (native := self.native) is not None:
            self.collect_in_python()
            self.native = None
            native.retire()

    def _handle_fork(self) -> None:
        """In a forked child, which has none of its parent's threads, and where one may have held a lock."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        was_shut_down = self._shutdown
        self._starting, self._export_lock = RLock(), Lock()
        self._shutdown_event, self._shutdown_once = Event(), Once()
        if was_shut_down:
            self._shutdown_event.set()
            self._shutdown_once.do_once(lambda: None)
        elif self._daemon_thread is not None:
            self._daemon_thread = None
            if self.native is not None:
                self.native.tick_elsewhere(False)
            self._start_thread()

    def _at_fork_reinit(self) -> None:
        # Upstream's hook.
        self._handle_fork()

    def _receive_metrics(
        self,
        metrics_data: MetricsData | _native.Collection,
        timeout_millis: float = _DEFAULT_FLUSH_TIMEOUT_MILLIS,
        **kwargs: Any,
    ) -> None:
        if (native := self.native) is None or not isinstance(metrics_data, _native.Collection):
            super()._receive_metrics(metrics_data, timeout_millis, **kwargs)  # type: ignore[arg-type]
            return
        # The exporter says so, as to upstream's reader.
        if self._shutdown and self._exporter._refuses_after_shutdown():  # type: ignore[attr-defined]
            return
        if current_thread() is not self._ticking:
            if not native.collect(metrics_data, timeout_millis):
                raise ExportTimeoutError(f"Metrics were not exported within {timeout_millis:.0f} ms")
            return
        self._export(native, metrics_data, timeout_millis)

    def _export(self, native: _native.PeriodicReader, found: _native.Collection | None, timeout_millis: float) -> None:
        """Waits for the export, unless the shutdown does; in Python, which lets other greenlets run."""
        if self._shutdown_event.is_set():
            self._asked_for_last = True
        native.collect(found, 0)
        deadline, pause = monotonic() + timeout_millis / 1e3, _FIRST_PAUSE_SECONDS
        while not native.wait(1) and monotonic() < deadline and not self._shutdown_event.wait(pause):
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def force_flush(self, timeout_millis: float = _DEFAULT_FLUSH_TIMEOUT_MILLIS) -> bool:
        """Collects and exports now.

        Returns:
            False if that was not done within ``timeout_millis``; the export goes on.

        Raises:
            MetricsTimeoutError: The callbacks of observable instruments took longer.
        """
        try:
            return super().force_flush(timeout_millis)
        except ExportTimeoutError:
            return False

    def shutdown(self, timeout_millis: float = _DEFAULT_SHUTDOWN_TIMEOUT_MILLIS, **kwargs: Any) -> None:
        """Collects and exports once more, within ``timeout_millis``, and shuts the exporter down."""
        if (native := self.native) is None or self._shutdown:
            super().shutdown(timeout_millis, **kwargs)
            return
        deadline = monotonic() + min(timeout_millis, _native.bounded_by_exit(inf) / 2) / 1e3
        is_last_left = not self._asked_for_last
        # It collects once more. A callback that takes too long costs what it observes, and nothing else.
        if (thread := self._daemon_thread) is not None:
            self._shutdown_event.set()
            # Unless a callback shuts down.
            if thread is not current_thread():
                thread.join(min(max(deadline - monotonic(), 0) / 2, TIMEOUT_MAX))
            self._daemon_thread = None
            is_last_left = thread.is_alive() or not self._asked_for_last
        native.shutdown(is_last_left and self._export_interval_millis < inf, max(deadline - monotonic(), 0) * 1e3)
        super().shutdown(max(deadline - monotonic(), 0) * 1e3, **kwargs)


def _is_as_here(kind: type[PeriodicExportingMetricReader]) -> bool:
    """Whether a subclass leaves the collection to this class."""
    return all(
        getattr(kind, name) is getattr(PeriodicExportingMetricReader, name)
        for name in ("collect", "_receive_metrics", "_ticker")
    )
