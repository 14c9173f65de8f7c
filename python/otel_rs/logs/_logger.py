"""The logger's Python side: upstream's attributes and hooks around the native one."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk._logs import _internal as upstream
from opentelemetry.sdk._logs._internal._logger_metrics import NoOpLoggerMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_rs import _native
from otel_rs._methods import LendableMethods, WithReplaceableMethods
from otel_rs.batching.steps import native_processors, with_native_steps
from otel_rs.exporter.otlp._feedback import LOG_EXPORT_LOGGER
from otel_rs.logs import _stock


@with_native_steps
class Logger(WithReplaceableMethods, _native.Logger, _stock.Logger, metaclass=LendableMethods):
    """Emits log records. Made by ``LoggerProvider.get_logger``; parameters as ``opentelemetry.sdk._logs.Logger``.

    Specification: https://opentelemetry.io/docs/specs/otel/logs/api/#logger
    """

    _called_natively = frozenset({"emit"})
    _upstream = _stock.Logger
    _methods_changed = staticmethod(_native.emit_was_replaced)

    def __new__(
        cls,
        resource: Resource,
        multi_log_record_processor: sdk.LogRecordProcessor,
        instrumentation_scope: InstrumentationScope,
        *,
        logger_metrics: Any,
        log_record_limits: LogRecordLimits | None = None,
        _logger_config: upstream._LoggerConfig,
    ) -> Logger:
        limits = log_record_limits or LogRecordLimits()
        return super().__new__(
            cls,
            resource,
            native_processors(multi_log_record_processor),
            instrumentation_scope,
            limits.max_log_record_attributes,
            limits.max_log_record_attribute_length,
            instrumentation_scope.name == LOG_EXPORT_LOGGER,
            None if isinstance(logger_metrics, NoOpLoggerMetrics) else logger_metrics.emit_log,
        )

    @property
    def _logger_config(self) -> upstream._LoggerConfig:
        return self._config

    @_logger_config.setter
    def _logger_config(self, config: upstream._LoggerConfig) -> None:
        self._config = config
        self._set_enabled(config.is_enabled)

    @property
    def _multi_log_record_processor(self) -> Any:
        return self._processors

    @_multi_log_record_processor.setter
    def _multi_log_record_processor(self, processors: Any) -> None:
        self._processors = processors
        self._set_processors(native_processors(processors))

    def _set_resource(self, resource: Resource) -> None:
        self._resource = resource
        self._set_origin(resource)
