"""The tracer provider: upstream's own, which makes native tracers."""

from __future__ import annotations

import logging
import os
import threading

from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.util import types

from otel_rs import endings, exit, forks
from otel_rs._announced import tell_way
from otel_rs._reload import keep_modules
from otel_rs._shown import shown
from otel_rs.settings import corrected_environment, read
from otel_rs.settings.names import report_unknown_name
from otel_rs.settings.reading import variable_text
from otel_rs.settings.table import GROUPS, SAMPLER, SDK_DISABLED
from otel_rs.trace import _stock
from otel_rs.trace._processors import SynchronousMultiSpanProcessor
from otel_rs.trace._tracer import Tracer

_logger = logging.getLogger(__name__)

# So many tracers are found without a scope to compare; a program has tens.
_MAX_KEYS = 1000

# Of scopes. Nobody can change it.
_NO_ATTRIBUTES = BoundedAttributes(immutable=True)


class TracerProvider(_stock.TracerProvider):
    """Makes tracers that share a configuration. Behaves as ``opentelemetry.sdk.trace.TracerProvider``.

    Args:
        sampler: Decides which spans are recorded. Default: by ``OTEL_TRACES_SAMPLER`` and ``OTEL_TRACES_SAMPLER_ARG``,
            else ``parentbased_always_on``. The SDK's own samplers run natively.
        resource: What the telemetry is about. Default: ``Resource.create()``, which reads ``OTEL_SERVICE_NAME`` and
            ``OTEL_RESOURCE_ATTRIBUTES``.
        shutdown_on_exit: Shut down, which exports what is left, when the interpreter exits, within
            ``OTEL_RS_EXIT_TIMEOUT`` milliseconds (10000) for all providers together; also at the end of a child of
            ``multiprocessing`` or a worker of Celery, and before a server raises the signal it was stopped with.
        active_span_processor: Holds the processors. Default: ``SynchronousMultiSpanProcessor()``.
        id_generator: Default: random ids, made natively.
        span_limits: Default: ``SpanLimits()``, which reads the ``OTEL_*_LIMIT`` variables.
        meter_provider: For the SDK's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.

    ``OTEL_SDK_DISABLED=true`` makes it hand out tracers that do nothing.

    Specification: https://opentelemetry.io/docs/specs/otel/trace/sdk/#tracer-provider
    """

    def __init__(
        self,
        sampler: Sampler | None = None,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        active_span_processor: _stock.SynchronousMultiSpanProcessor | sdk.ConcurrentMultiSpanProcessor | None = None,
        id_generator: IdGenerator | None = None,
        span_limits: SpanLimits | None = None,
        *,
        meter_provider: metrics_api.MeterProvider | None = None,
        _tracer_configurator: sdk._TracerConfiguratorT | None = None,
    ) -> None:
        self._tracers_by_key: dict[tuple[str, str | None, str | None], trace_api.Tracer] = {}
        self._pid = os.getpid()
        keep_modules()
        exit.arrange()
        super().__init__(
            sampler or _sampler_from_environment(),
            resource,
            shutdown_on_exit,
            active_span_processor or SynchronousMultiSpanProcessor(),
            id_generator,
            span_limits or _span_limits_from_environment(),
            meter_provider=meter_provider,
            _tracer_configurator=_tracer_configurator,
        )
        self._disabled = read(SDK_DISABLED).value
        forks.call_in_children(self._after_fork)
        endings.shut_down_at_end(self)

    def __repr__(self) -> str:
        return shown(self, "processors", lambda: list(self._active_span_processor._span_processors))

    def _handle_fork(self) -> None:
        self._pid = os.getpid()
        # Another thread of the parent may have been reading it.
        _NO_ATTRIBUTES._lock = threading.Lock()
        super()._handle_fork()

    def _after_fork(self) -> None:
        # Upstream's own hook may have done it.
        if self._pid != os.getpid():
            self._handle_fork()

    def add_span_processor(self, span_processor: sdk.SpanProcessor) -> None:
        """Adds a processor, which gets every span after those that were added before it."""
        _stock.TracerProvider.add_span_processor(self, span_processor)
        tell_way(self, "traces", span_processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: types.Attributes = None,
    ) -> trace_api.Tracer:
        """The tracer of an instrumentation scope: the same one for the same name, version, schema URL and attributes.

        Specification: https://opentelemetry.io/docs/specs/otel/trace/api/#get-a-tracer
        """
        key = (instrumenting_module_name, instrumenting_library_version, schema_url)
        try:
            tracers_by_key = self._tracers_by_key
        except AttributeError:  # borrowed by another class
            return _stock.TracerProvider.get_tracer(self, *key, attributes)
        if not attributes and (tracer_of_key := tracers_by_key.get(key)):
            return tracer_of_key
        if self._disabled:
            return trace_api.NoOpTracer()
        if not instrumenting_module_name:
            instrumenting_module_name = ""
            _logger.error("get_tracer called with missing module name.")
        version = instrumenting_library_version or ""
        scope = _scope(instrumenting_module_name, version, schema_url, attributes)
        with self._tracers_lock:
            tracer = self._tracers.get(scope)
            if tracer is None:
                tracer = self._tracers[scope] = self._make_tracer(scope)
            if not attributes and instrumenting_module_name and len(tracers_by_key) < _MAX_KEYS:
                tracers_by_key[key] = tracer
        return tracer

    def _make_tracer(self, scope: InstrumentationScope) -> Tracer:
        # InstrumentationInfo is deprecated and warns; spans still carry one.
        info = InstrumentationInfo.__new__(InstrumentationInfo)
        info._name, info._version = scope.name, scope.version
        info._schema_url = scope.schema_url or ""
        return Tracer(
            self.sampler,
            self.resource,
            self._active_span_processor,
            self.id_generator,
            info,
            self._span_limits,
            scope,
            meter_provider=self._meter_provider,
            _tracer_config=self._apply_tracer_configurator(scope),
        )


def _scope(name: str, version: str, schema_url: str | None, attributes: types.Attributes) -> InstrumentationScope:
    """As upstream's, of which those without attributes share what they do not have: it would be half of a tracer."""
    if attributes:
        return InstrumentationScope(name, version, schema_url, attributes)
    scope = InstrumentationScope.__new__(InstrumentationScope)
    scope._name, scope._version, scope._schema_url = name, version, schema_url or ""
    scope._attributes = _NO_ATTRIBUTES
    return scope


def _sampler_from_environment() -> Sampler:
    name = variable_text(SAMPLER)
    if name and name.lower() not in sampling._KNOWN_SAMPLERS:
        report_unknown_name(SAMPLER, name, sampling._KNOWN_SAMPLERS)
        return sampling.DEFAULT_ON
    with corrected_environment(GROUPS["Sampling and limits"]):
        return sampling._get_from_env_or_default()


def _span_limits_from_environment() -> SpanLimits:
    with corrected_environment(GROUPS["Sampling and limits"]):
        return SpanLimits()
