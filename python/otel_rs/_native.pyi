"""The compiled part. Its classes are the bases of the public ones, which carry the documentation."""

import logging
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.metrics import ExemplarFilter
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics.export import Metric, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes
from typing_extensions import Self, disjoint_base

from otel_rs.exporter.otlp._config import ExporterConfig
from otel_rs.metrics._match import StreamConfig

__version__: str

@final
class Processors:
    """The processors of one provider."""

    def __new__(cls) -> Processors: ...
    def set(self, native: Sequence[BatchProcessor], python: Sequence[Any]) -> None: ...

@final
class ConfigError(ValueError):
    """A setting that no request could be sent with."""

    def __new__(cls, setting: str, value: str | None, problem: str, accepted: str) -> ConfigError: ...

    setting: str
    """The exporters' argument, such as ``endpoint`` or ``certificate_file``."""
    value: str | None
    """As it may be shown, without secrets; None for what is a secret."""
    problem: str
    accepted: str
    """What is accepted, in words."""

@final
class OtlpExporter:
    """A connection to an OTLP receiver, for one signal."""

    def __new__(cls, config: ExporterConfig) -> OtlpExporter:
        """Raises ConfigError if no request could be sent with the configuration."""

    @staticmethod
    def that_sends_nothing(config: ExporterConfig) -> OtlpExporter:
        """For a configuration that cannot be used: what it gets is counted as failed."""

    @property
    def protocol(self) -> str: ...
    @property
    def max_request_size(self) -> int | None: ...
    def export_spans(self, spans: Iterable[ReadableSpan]) -> bool: ...
    def export_metrics(self, data: MetricsData | Collection) -> bool: ...
    def export_logs(self, records: Iterable[ReadableLogRecord]) -> bool: ...
    def shutdown(self) -> bool: ...
    def is_shut_down(self) -> bool: ...
    def counts(self) -> dict[str, int]: ...
    def own_counts(self) -> dict[str, int]:
        """Without what ``export_elsewhere`` counted."""

    def export_elsewhere(self, items: int, send: Callable[[], bool]) -> bool:
        """Counts items that ``send`` sends in this exporter's place: as exported if it returns true, else as failed."""

    def record_operations(self) -> None: ...
    def take_operations(self) -> list[tuple[float, str | None, int | str | None]]: ...

def selected_attributes(attributes: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """The attributes whose keys are among ``keys``."""

def are_attributes_kept(tracer: Any, attributes: dict[str, Any]) -> bool:
    """Whether a span that the tracer has just started with these attributes has them as they are."""

HTTP_METHODS: frozenset[str]
"""Methods that contrib reports as they are."""

def put_response_code(span: Any, code: Any, attributes: dict[str, Any], errors_from: int, old: bool, new: bool) -> bool:
    """Puts the code of a response that is no error into span and attributes. Of any other it returns False."""

def is_instrumentation_enabled() -> bool:
    """See ``opentelemetry.instrumentation.utils``."""

def is_http_instrumentation_enabled() -> bool:
    """See ``opentelemetry.instrumentation.utils``."""

def start_internal_or_server_span(
    tracer: Any,
    span_name: Any,
    start_time: int | None,
    context_carrier: Any,
    context_getter: Any,
    attributes: Any = None,
) -> tuple[Any, Any]:
    """``_start_internal_or_server_span`` of ``opentelemetry.instrumentation.utils``."""

def use_span(span: Any, end_on_exit: bool = False) -> Any:
    """``opentelemetry.trace.use_span``, natively for spans of ours."""

def native_api_function(original: Any) -> Any:
    """What comes in the place of a function of ``opentelemetry.context`` or ``opentelemetry.trace.propagation``."""

def lists_are_known() -> bool:
    """Whether contrib redacts the parameters, and looks for the tests and bots, that the native functions know."""

@final
class Originals:
    """Functions that a module of contrib's has by some names. Called, it calls the first."""

    def __new__(cls, namespace: dict[str, Any], names: tuple[str, ...], is_known: Callable[[Any], bool]) -> Self: ...
    def are_there(self) -> bool:
        """Whether all are contrib's, or ours in their place."""

    def __call__(self, *arguments: Any) -> Any: ...

@final
class Variable:
    """Reads a variable of the environment: encoded, or None."""

    def __new__(cls, values: dict[Any, Any], encoded_name: Any) -> Self: ...
    def __call__(self) -> Any: ...

@disjoint_base
class WsgiConvention:
    """What the instrumentations of WSGI applications do in a mode of the semantic conventions."""

    def __new__(
        cls,
        mode: Any,
        old: bool,
        new: bool,
        keys: Any,
        collect_request_attributes: Originals,
        add_response_attributes: Originals,
        set_span_in_context: Originals,
        request_headers: Any,
        response_headers: Any,
    ) -> Self: ...
    @property
    def mode(self) -> Any: ...
    @property
    def old(self) -> bool: ...
    @property
    def new(self) -> bool: ...
    def request_attributes(self, environ: Any) -> dict[str, Any]: ...
    def counted(self, attributes: dict[str, Any]) -> dict[str, Any]: ...
    def capture_request_headers(self, span: Any, environ: Any) -> bool: ...
    def wants_response_headers(self, span: Any) -> bool: ...
    def capture_response_headers(self, span: Any, headers: Any) -> None: ...
    def put_response_code(self, span: Any, code: Any, attributes: dict[str, Any]) -> bool: ...
    def add_response_attributes(self, span: Any, status: str, headers: Any, attributes: dict[str, Any]) -> None: ...
    def record_duration(
        self,
        seconds: float,
        attributes: dict[str, Any],
        old: Any = None,
        new: Any = None,
        span: Any = None,
        target: Any = None,
    ) -> None: ...

@final
class FlaskModule:
    """The names of Flask and of contrib's module of it."""

    def __new__(cls, names: Any) -> Self: ...

@final
class FlaskApplication:
    """A Flask application, measured."""

    def __new__(
        cls,
        application: Any,
        module: FlaskModule,
        convention: WsgiConvention,
        active_requests: Any,
        duration_old: Any,
        duration_new: Any,
        response_hook: Any,
        is_excluded: Callable[[str], bool] | None,
    ) -> Self: ...
    def __call__(self, environ: Any, start_response: Any) -> Any: ...

@final
class FlaskBeforeRequest:
    """Starts the span of a request."""

    def __new__(
        cls,
        module: FlaskModule,
        convention: WsgiConvention,
        tracer: Any,
        request_hook: Any,
        is_excluded: Callable[[str], bool] | None,
        commenter_options: Any,
    ) -> Self: ...
    def __call__(self) -> None: ...

@final
class FlaskTeardown:
    """Ends the span of a request."""

    def __new__(
        cls, module: FlaskModule, in_contrib: Callable[[Any], None], is_excluded: Callable[[str], bool] | None
    ) -> Self: ...
    def __call__(self, exception: Any) -> None: ...

@final
class RequestsClient:
    """How `requests` is instrumented."""

    def __new__(cls, options: Any, durations: Sequence[Any], send: Any, in_contrib: Any) -> Self: ...
    def send(self, session: Any, request: Any, options: dict[str, Any]) -> Any: ...

def dbapi_method(class_name: str, name: str, contrib: Any) -> Any:
    """The native method of one of the proxies around connections and cursors."""

def asgi_request_attributes(scope: Any, old: bool, new: bool) -> dict[str, Any] | None:
    """A request's attributes in the old and in the new semantic conventions; None where contrib's code has to run."""

def asgi_span_details(scope: Any) -> tuple[str, dict[str, Any]] | None:
    """The name of a request's span, and no more attributes; None where contrib's code has to run."""

@final
class AsgiModule:
    """The names of contrib's module of ASGI."""

    def __new__(cls, names: Any) -> Self: ...
    def begin(self, middleware: Any, scope: Any, receive: Any, send: Any) -> tuple[AsgiRequest | None, Any]:
        """Begins a request: it, or None if it is not measured, and what the application returned, to be awaited."""

@final
class AsgiRequest:
    """A request to an ASGI application that is under way."""

    def end(self, exception: BaseException | None = None) -> None:
        """The application is done, or it raised an exception."""

@final
class AsgiReceive:
    """The `receive` of an application, with a span for each message."""

    def __call__(self) -> Any: ...

@final
class AsgiSend:
    """The `send` of an application, with a span for each message."""

    def __call__(self, message: Any) -> Any: ...

@final
class AsgiRoutes:
    """The routes of an application of Starlette's or FastAPI's."""

    def __new__(cls, names: Any) -> Self: ...
    def path(self, scope: Any) -> str | None:
        """The path of the route that a request takes."""

    def __call__(self, scope: Any) -> tuple[str, dict[str, str]]:
        """The name of a request's span, and the attributes that it has besides."""

@final
class HttpxModule:
    """The names of contrib's module of httpx."""

    def __new__(cls, names: Any) -> Self: ...
    def begin(
        self, arguments: tuple[Any, ...], options: dict[str, Any], hooks: tuple[str, ...]
    ) -> HttpxRequest | Literal[False] | None:
        """Begins a request. False if it has no span, and None where contrib's code has to send it."""

@final
class HttpxRequest:
    """A request of httpx that is under way."""

    def finish(self, response: Any) -> None: ...
    def fail(self, exception: BaseException) -> None: ...

def exclusion(excluded_urls: Any) -> Callable[[str], bool] | None:
    """Tells whether a URL is excluded; None where none is, so that nobody has to put the URL together."""

def may_be_synthetic(user_agent: Any) -> bool:
    """Whether the user agent may be a test's or a bot's, or something that contrib's code has to look at."""

def wsgi_request_attributes(environ: Any, old: bool, new: bool) -> dict[str, Any] | None:
    """A request's attributes in the old and in the new semantic conventions; None where contrib's code has to run."""

def client_request_attributes(
    method: Any, url: Any, user_agent: Any, old: bool, new: bool, peer_by_old_names: bool
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The attributes of a request's span and of its metrics; None where contrib's code has to run."""

def is_plain_url(url: Any) -> bool:
    """Whether contrib redacts nothing in it. False where its own code has to look."""

def add_pool_attributes(
    attributes: dict[str, Any], pool: tuple[Any, Any, Any], method: Any, version: Any, old: bool, new: bool
) -> bool:
    """Adds scheme, host and port, method and protocol, as metrics of urllib3 have them. False, and nothing is added,
    where contrib's code has to."""

@final
class UseSpan:
    """``opentelemetry.trace.use_span`` of a native span."""

    def __new__(
        cls,
        span: Any,
        end_on_exit: bool = False,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Self: ...
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any = None, exception: Any = None, traceback: Any = None) -> bool: ...

@disjoint_base
class MeasurementConsumer:
    """What all instruments of a meter provider share."""

    def __new__(cls, exemplar_filter: ExemplarFilter, max_bytes: int) -> Self: ...
    def _readers_changed(self) -> None: ...
    @staticmethod
    def _measurement(value: float, instrument: Any, context: Context, attributes: Attributes) -> Measurement:
        """Upstream's ``Measurement`` of an observation, made now."""

    def _overflowed(self) -> int:
        """Measurements that were counted together with others for want of room."""

@disjoint_base
class MeterSwitch:
    """Whether the instruments of a meter measure anything."""

    def __new__(cls, enabled: bool) -> Self: ...
    def _set(self, enabled: bool) -> None: ...

@disjoint_base
class Instrument:
    """A synchronous instrument; what all kinds have in common."""

class Counter(Instrument):
    def __new__(cls, consumer: MeasurementConsumer, switch: MeterSwitch) -> Self: ...
    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None: ...

class UpDownCounter(Instrument):
    def __new__(cls, consumer: MeasurementConsumer, switch: MeterSwitch) -> Self: ...
    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None: ...

class Histogram(Instrument):
    def __new__(cls, consumer: MeasurementConsumer, switch: MeterSwitch) -> Self: ...
    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None: ...

class Gauge(Instrument):
    def __new__(cls, consumer: MeasurementConsumer, switch: MeterSwitch) -> Self: ...
    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None: ...

@final
class Stream:
    """One metric of one reader."""

    def __new__(cls, consumer: MeasurementConsumer, config: StreamConfig) -> Self: ...
    def measure(
        self,
        consumer: MeasurementConsumer,
        value: float,
        attributes: Attributes,
        context: Context | None,
        time: int | None = None,
        sampled: bool | None = None,
    ) -> None:
        """Takes a measurement whose value has been checked, now unless ``time`` says when."""

    def collect_into(self, collection: Collection, scope: InstrumentationScope, time_unix_nano: int) -> None: ...
    def collect(self, time_unix_nano: int) -> list[tuple[Any, ...]]:
        """A tuple for each point, of what upstream's class for it has besides the time."""

@final
class PeriodicReader:
    """A metric reader that collects and exports away from Python."""

    def __new__(cls, exporter: OtlpExporter, export_interval_millis: float, export_timeout_millis: float) -> Self: ...
    def stream(self, consumer: MeasurementConsumer, config: StreamConfig) -> Stream:
        """A stream that tells this reader of new series. It is still to be added."""

    def add(self, resource: Resource, scope: InstrumentationScope, stream: Stream) -> None:
        """Collects the stream from now on."""

    def replace(self, resource: Resource, streams: list[tuple[InstrumentationScope, Stream]]) -> None:
        """Collects these streams in the place of those it had."""

    def tick_elsewhere(self, elsewhere: bool) -> None:
        """Whether Python asks for a collection at each interval."""

    def collect(self, found: Collection | None, timeout_millis: float) -> bool:
        """Collects and exports, with what Python found, and waits for it; False if that was not done in time."""

    def wait(self, timeout_millis: float) -> bool:
        """Waits for all that was asked for; False if that was not done in time."""

    def retire(self) -> None:
        """Ends, and waits for nothing: Python collects from now on."""

    def shutdown(self, last_collection: bool, timeout_millis: float) -> bool:
        """Ends, after a last collection if it is asked for; what is not exported in time counts as failed."""

@final
class Collection:
    """What one collection found, on its way to a native exporter."""

    def __new__(cls, resource: Resource) -> Self: ...
    def add_metric(self, scope: InstrumentationScope, metric: Metric) -> None: ...
    def __bool__(self) -> bool: ...

@final
class BatchProcessor:
    """Batches ended spans or emitted log records and exports them away from Python."""

    def __new__(
        cls,
        exporter: OtlpExporter,
        max_queue_size: int,
        schedule_delay_millis: float,
        max_export_batch_size: int,
        export_timeout_millis: float,
        max_queue_bytes: int,
        max_request_bytes: int,
        max_concurrent_exports: int,
    ) -> BatchProcessor: ...
    def push_span(self, span: ReadableSpan) -> None: ...
    def push_log_record(self, record: ReadableLogRecord | ReadWriteLogRecord) -> None: ...
    def force_flush(self, timeout_millis: float) -> bool: ...
    def shutdown(self, timeout_millis: float) -> bool: ...
    def is_shut_down(self) -> bool: ...
    def counts(self) -> dict[str, int]: ...
    def processed(self) -> tuple[int, int, int, int]: ...

@disjoint_base
class Logger:
    def __new__(
        cls,
        resource: Resource,
        processors: Processors,
        instrumentation_scope: InstrumentationScope,
        max_attributes: int | None,
        max_attribute_length: int | None,
        of_log_export: bool,
        count_record: Callable[[], None] | None,
    ) -> Self: ...
    def emit(
        self,
        record: LogRecord | None = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Context | None = None,
        severity_number: SeverityNumber | None = None,
        severity_text: str | None = None,
        body: AnyValue | None = None,
        attributes: Attributes = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None: ...
    def _set_enabled(self, enabled: bool) -> None: ...
    def _set_processors(self, processors: Processors) -> None: ...
    def _set_origin(self, resource: Resource) -> None: ...

def emit_was_replaced() -> None:
    """Makes handlers look whether ``emit`` of a logger is ours: somebody has replaced one."""

def call_unexported(call: Callable[[Any], Any], argument: Any) -> Any:
    """``call(argument)``: what is logged meanwhile is not exported."""

@disjoint_base
class LoggingHandler:
    def __new__(cls, of_sdk: bool, *args: Any, **kwargs: Any) -> Self: ...
    def emit(self, record: logging.LogRecord) -> None: ...
    def handle(self, record: logging.LogRecord) -> Any: ...
    def _set_native(self, is_native: bool, locks: bool) -> None: ...
    def _set_attributes(self, formatter: Any, provider: Any, code_attributes: bool) -> None: ...

@final
class CurrentSpan:
    """What ``start_as_current_span`` returns: a context manager and a decorator."""

    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any = ..., exception: Any = ..., traceback: Any = ...) -> bool: ...
    def __call__(self, function: Any) -> Any: ...

@disjoint_base
class Tracer:
    sampler: Sampler
    resource: Resource
    id_generator: IdGenerator
    instrumentation_info: InstrumentationInfo
    def __new__(
        cls,
        sampler: Sampler,
        resource: Resource,
        processors: Processors,
        id_generator: IdGenerator,
        instrumentation_info: InstrumentationInfo,
        span_limits: SpanLimits,
        instrumentation_scope: InstrumentationScope,
        metrics: Any = None,
        enabled: bool = True,
    ) -> Self: ...
    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Any: ...
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Any:
        """Returns a CurrentSpan."""

    def _set_processors(self, processors: Processors) -> None: ...
    def _set_enabled(self, enabled: bool) -> None: ...

def begin_exit(timeout_millis: int) -> None:
    """The interpreter's exit has begun: nothing waits for longer than this from now on."""

def bounded_by_exit(timeout_millis: float) -> float:
    """The timeout, or what is left of the exit's."""

def flush_before_sigterm(timeout_millis: int) -> None:
    """SIGTERM, where nobody handles it, lets everything be exported before it ends this process."""

def flush_before_exit(timeout_millis: int) -> None:
    """C's ``exit`` lets everything be exported before it ends this process."""

def finish_exit() -> None:
    """The interpreter's exit ends: waits for what processors that were forgotten still export."""

def look_up_methods() -> None:
    """Makes native code look up on the object what it would call natively: somebody has replaced a method."""

@disjoint_base
class NonRecordingSpan:
    def set_attribute(self, key: str, value: AnyValue) -> None: ...
    def set_attributes(self, attributes: Any) -> None: ...
    def end(self, end_time: int | None = None) -> None: ...
    def get_span_context(self) -> SpanContext: ...
    def is_recording(self) -> bool: ...

@disjoint_base
class Span:
    _tracer: SdkTracer
    def set_attribute(self, key: str, value: AnyValue) -> None: ...
    def set_attributes(self, attributes: Any) -> None: ...
    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None: ...
    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None: ...
    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool | None = None,
    ) -> None: ...
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None: ...
    def update_name(self, name: str) -> None: ...
    def is_recording(self) -> bool: ...
    def get_span_context(self) -> SpanContext: ...
    def end(self, end_time: int | None = None) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def context(self) -> SpanContext: ...
    @property
    def parent(self) -> SpanContext | None: ...
    @property
    def kind(self) -> SpanKind: ...
    @property
    def start_time(self) -> int | None: ...
    @property
    def end_time(self) -> int | None: ...
    @property
    def status(self) -> Status: ...
    @property
    def attributes(self) -> Attributes: ...
    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def links(self) -> Sequence[Link]: ...
    @property
    def resource(self) -> Resource: ...
    @property
    def instrumentation_scope(self) -> InstrumentationScope | None: ...
    @property
    def dropped_attributes(self) -> int: ...
    @property
    def dropped_events(self) -> int: ...
    @property
    def dropped_links(self) -> int: ...

@final
class OtlpReceiver:
    """An OTLP receiver on free ports of the loopback interface that keeps each request as a line of OTLP/JSON."""

    def __new__(cls) -> OtlpReceiver: ...
    @property
    def grpc_address(self) -> str: ...
    @property
    def http_address(self) -> str: ...
    def take(self) -> str:
        """The lines so far, each once."""

    def stop(self) -> None: ...

@final
class TerminalReceiver:
    """An OTLP receiver, over gRPC and HTTP on one free port of the loopback interface, that prints to stderr."""

    def __new__(cls, arguments: Namespace) -> TerminalReceiver: ...
    @property
    def address(self) -> str: ...
    def stop(self) -> bool:
        """Prints what is left, and closes the port. Returns whether anything was printed at all."""

def view(arguments: Namespace) -> None:
    """Runs the embedded receiver until SIGINT or SIGTERM; see ``otel-rs view --help``."""

def native_propagation(original: Callable[..., Any]) -> Callable[..., Any]:
    """What comes in the place of a method of the API's propagators, or of ``extract`` or ``inject``."""
