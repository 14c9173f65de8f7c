"""The tracer's Python side: upstream's attributes and hooks around the native one."""

from __future__ import annotations

from typing import Any

from opentelemetry import metrics as metrics_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics, create_tracer_metrics
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope

from otel_rs import _native
from otel_rs._methods import LendableMethods, WithReplaceableMethods
from otel_rs.batching.steps import native_processors
from otel_rs.settings import read
from otel_rs.settings.table import INTERNAL_METRICS
from otel_rs.trace import _stock

_NO_METRICS = NoOpTracerMetrics()


class Tracer(WithReplaceableMethods, _native.Tracer, _stock.Tracer, metaclass=LendableMethods):
    """Starts spans. Made by ``TracerProvider.get_tracer``; parameters as ``opentelemetry.sdk.trace.Tracer``.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/api/#tracer
    """

    _called_natively = frozenset({"start_span", "start_as_current_span"})
    _upstream = _stock.Tracer
    _methods_changed = staticmethod(_native.look_up_methods)

    def __new__(
        cls,
        sampler: Sampler,
        resource: Resource,
        span_processor: SpanProcessor,
        id_generator: IdGenerator,
        instrumentation_info: InstrumentationInfo,
        span_limits: SpanLimits,
        instrumentation_scope: InstrumentationScope,
        *,
        meter_provider: metrics_api.MeterProvider | None = None,
        _tracer_config: sdk._TracerConfig | None = None,
    ) -> Tracer:
        metrics = None
        if read(INTERNAL_METRICS).value:
            metrics = create_tracer_metrics(meter_provider or metrics_api.get_meter_provider(), True)
        config = _tracer_config or sdk._TracerConfig.default()
        tracer: Tracer = super().__new__(
            cls,
            sampler,
            resource,
            native_processors(span_processor),
            id_generator,
            instrumentation_info,
            span_limits,
            instrumentation_scope,
            metrics,
            config.is_enabled,
        )
        tracer._span_processor = span_processor
        tracer._span_limits = span_limits
        tracer._tracer_config = config
        # For upstream's `start_span`, which runs with a proxy of this tracer.
        tracer._tracer_metrics = metrics or _NO_METRICS
        return tracer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: ``__new__`` has made the native part."""

    def __copy__(self) -> Tracer:
        copied = type(self)(
            self.sampler,
            self.resource,
            self._span_processor,
            self.id_generator,
            self.instrumentation_info,
            self._span_limits,
            self._instrumentation_scope,
            _tracer_config=self._tracer_config,
        )
        vars(copied).update(vars(self))
        return copied

    @property  # type: ignore[override]  # any processor will do, as upstream
    def span_processor(self) -> SpanProcessor:
        return self._span_processor

    @span_processor.setter
    def span_processor(self, processor: SpanProcessor) -> None:
        self._span_processor = processor
        self._set_processors(native_processors(processor))

    def _set_tracer_config(self, tracer_config: sdk._TracerConfig) -> None:
        self._tracer_config = tracer_config
        self._set_enabled(tracer_config.is_enabled)

    def _set_resource(self, resource: Resource) -> None:
        self.resource = resource
