"""The logger provider: upstream's own, which makes native loggers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk._logs import _internal as upstream
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.types import Attributes

from otel_rs import endings, exit, forks
from otel_rs._announced import tell_way
from otel_rs._reload import keep_modules
from otel_rs._shown import shown
from otel_rs.logs import _stock
from otel_rs.logs._logger import Logger
from otel_rs.logs._processors import SynchronousMultiLogRecordProcessor
from otel_rs.settings import corrected_environment, read
from otel_rs.settings.table import GROUPS, SDK_DISABLED


class LoggerProvider(_stock.LoggerProvider):
    """Makes loggers that share a configuration. Behaves as ``opentelemetry.sdk._logs.LoggerProvider``.

    Args:
        resource: What the telemetry is about. Default: ``Resource.create()``, which reads ``OTEL_SERVICE_NAME`` and
            ``OTEL_RESOURCE_ATTRIBUTES``.
        shutdown_on_exit: Shut down, which exports what is left, when the interpreter exits, within
            ``OTEL_RS_EXIT_TIMEOUT`` milliseconds (10000) for all providers together; also at the other ends of a
            process that ``otel_rs.trace.TracerProvider`` delivers at.
        multi_log_record_processor: Holds the processors. Default: ``SynchronousMultiLogRecordProcessor()``.
        meter_provider: For the SDK's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.
        log_record_limits: Default: ``LogRecordLimits()``, which reads the ``OTEL_*_LIMIT`` variables.

    ``OTEL_SDK_DISABLED=true`` makes it hand out loggers that do nothing.

    Specification: https://opentelemetry.io/docs/specs/otel/logs/sdk/#loggerprovider
    """

    def __init__(
        self,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        multi_log_record_processor: _stock.SynchronousMultiLogRecordProcessor
        | sdk.ConcurrentMultiLogRecordProcessor
        | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        log_record_limits: LogRecordLimits | None = None,
        _logger_configurator: Callable[[InstrumentationScope], upstream._LoggerConfig] | None = None,
    ) -> None:
        self._pid = os.getpid()
        keep_modules()
        exit.arrange()
        super().__init__(
            resource,
            shutdown_on_exit,
            multi_log_record_processor or SynchronousMultiLogRecordProcessor(),
            meter_provider=meter_provider,
            log_record_limits=log_record_limits or _limits_from_environment(),
            _logger_configurator=_logger_configurator,
        )
        self._disabled = read(SDK_DISABLED).value
        forks.call_in_children(self._after_fork)
        endings.shut_down_at_end(self)

    def add_log_record_processor(self, log_record_processor: sdk.LogRecordProcessor) -> None:
        """Adds a processor, which gets every log record after those that were added before it."""
        _stock.LoggerProvider.add_log_record_processor(self, log_record_processor)
        tell_way(self, "logs", log_record_processor)

    def _start_flush(self) -> bool:
        """Has everything exported soon, and waits for nothing. False, with nothing done, if Python would have to."""
        processors = getattr(self._multi_log_record_processor, "_log_record_processors", ())
        natives: list[Any] = [getattr(processor, "_native_processor", None) for processor in processors]
        if None in natives:
            return False
        for native in natives:
            native.force_flush(0)
        return True

    @property
    def _atexit_handler(self) -> object:
        """Under the name that the other providers have it."""
        return self._at_exit_handler

    def __repr__(self) -> str:
        return shown(self, "processors", lambda: list(self._multi_log_record_processor._log_record_processors))

    def _handle_fork(self) -> None:
        self._pid = os.getpid()
        super()._handle_fork()

    def _after_fork(self) -> None:
        """Where upstream's own hook has not run."""
        if self._pid != os.getpid():
            self._handle_fork()

    def _get_logger_no_cache(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Logger:
        scope = InstrumentationScope(name, version, schema_url, attributes)
        return Logger(
            self._resource,
            self._multi_log_record_processor,
            scope,
            logger_metrics=self._logger_metrics,
            log_record_limits=self._log_record_limits,
            _logger_config=self._apply_logger_configurator(scope),
        )


def _limits_from_environment() -> LogRecordLimits:
    with corrected_environment(GROUPS["Sampling and limits"]):
        return LogRecordLimits()
