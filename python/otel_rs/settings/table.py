"""Every setting that is read from the environment: by this package, or by the parts of the SDK that it sets up.

`docs/configuration.md` is made of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from otel_rs.settings.grpc_codes import GrpcCodes
from otel_rs.settings.kinds import (
    YEAR_SECONDS,
    Boolean,
    CertificatesToTrust,
    Choice,
    File,
    Headers,
    Kind,
    Number,
    Switches,
    Url,
)

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")

# What stands before the signal's name in a variable.
_PREFIXES_OF_SIGNALS = ("OTEL_EXPORTER_OTLP_", "OTEL_PYTHON_EXPORTER_OTLP_GRPC_", "OTEL_PYTHON_EXPORTER_OTLP_HTTP_")


# Without the methods that nobody uses: to make them would slow down every start.
@dataclass(eq=False, repr=False)
class Setting:
    variable: str
    kind: Kind
    purpose: str
    default: Any = None
    default_in_words: str = ""
    """Where the default alone does not say it."""
    general: Setting | None = None
    """What counts where this one is not set, or not usable."""
    of_signals: bool = False
    """Whether each signal has a form of its own, as OTEL_EXPORTER_OTLP_TRACES_TIMEOUT."""
    secret: bool = False
    if_bad: Any = None
    """What a bad value counts as, if that is neither the general setting nor the default."""

    def of(self, signal: Signal) -> Setting:
        """The signal's own form, with this setting as the general one."""
        prefix = next(prefix for prefix in _PREFIXES_OF_SIGNALS if self.variable.startswith(prefix))
        variable = self.variable.replace(prefix, f"{prefix}{signal.upper()}_")
        return Setting(
            variable,
            self.kind,
            self.purpose,
            self.default,
            self.default_in_words,
            general=self,
            secret=self.secret,
            if_bad=self.if_bad,
        )

    def forms(self) -> list[Setting]:
        """The general form and those of the signals."""
        return [self, *(self.of(signal) for signal in SIGNALS if self.of_signals)]


MAX_MILLIS = YEAR_SECONDS * 1000
_SPANS = Number(unit="spans")
_RECORDS = Number(unit="log records")
_BYTES = Number(unit="bytes")
_MILLIS = Number(unit="milliseconds", maximum=MAX_MILLIS)
_MILLIS_OR_NO_LIMIT = Number(unit="milliseconds", minimum=0, maximum=MAX_MILLIS)
_LIMIT = Number(minimum=0, empty_is_no_limit=True)

SECONDS = Number(unit="seconds", minimum=0, above_minimum=True, maximum=YEAR_SECONDS, whole=False)
COMPRESSIONS = Choice("none", "gzip", "deflate", "zstd")
PROTOCOLS = Choice("grpc", "http/protobuf", "http/json")

# --- Who sets the program up -----------------------------------------------------------------------------------------

PYTHON_DISTRO = Setting(
    "OTEL_PYTHON_DISTRO", Kind(), "`rs`: `opentelemetry-instrument` sets the program up with this package."
)
PYTHON_CONFIGURATOR = Setting(
    "OTEL_PYTHON_CONFIGURATOR",
    Kind(),
    "`rs`: this package's configurator sets the SDK up.",
    default_in_words="`rs` with the distro `rs`",
)
CONFIG_FILE = Setting(
    "OTEL_CONFIG_FILE",
    Kind(),
    "A configuration file, which the configurator reads in the place of the variables for what it sets up; needs the "
    "package `opentelemetry-configuration`. A file that cannot be used costs one line, and nothing is recorded.",
)
SDK_DISABLED = Setting(
    "OTEL_SDK_DISABLED", Boolean(), "`true`: nothing is recorded or exported.", default=False, if_bad=False
)
TRACES_EXPORTER = Setting(
    "OTEL_TRACES_EXPORTER",
    Kind("names of exporters, with commas between them", unquoted=True),
    "Exporters of spans: `otlp`, `console`, `none`, or the name that another package's exporter has.",
    default_in_words="`otlp` with the distro `rs`, else none",
)
METRICS_EXPORTER = Setting(
    "OTEL_METRICS_EXPORTER",
    Kind("names of exporters, with commas between them", unquoted=True),
    "Exporters of metrics, likewise.",
    default_in_words="`otlp` with the distro `rs`, else none",
)
LOGS_EXPORTER = Setting(
    "OTEL_LOGS_EXPORTER",
    Kind("names of exporters, with commas between them", unquoted=True),
    "Exporters of log records, likewise.",
    default_in_words="`otlp` with the distro `rs`, else none",
)
ID_GENERATOR = Setting(
    "OTEL_PYTHON_ID_GENERATOR",
    Kind("the name of an id generator", unquoted=True),
    "Makes trace and span ids: `random`, or the name that another package's generator has.",
    default="random",
)
TRACER_CONFIGURATOR = Setting(
    "OTEL_PYTHON_TRACER_CONFIGURATOR", Kind(), "Switches tracers on and off, by the name of its entry point."
)
METER_CONFIGURATOR = Setting("OTEL_PYTHON_METER_CONFIGURATOR", Kind(), "The same for meters.")
LOGGER_CONFIGURATOR = Setting("OTEL_PYTHON_LOGGER_CONFIGURATOR", Kind(), "The same for loggers.")
LOGGING_AUTO_INSTRUMENTATION = Setting(
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
    Boolean(),
    "`true`: the SDK's handler, which upstream has deprecated, sends the records of Python's `logging`.",
    default=False,
    if_bad=False,
)
PROPAGATORS = Setting(
    "OTEL_PROPAGATORS",
    Kind("names of propagators, with commas between them", unquoted=True),
    "How the context of a trace crosses from one process to the next: `tracecontext`, `baggage`, `none`, or the names "
    "that other packages' propagators have.",
    default="tracecontext,baggage",
)
LOG_LEVEL = Setting(
    "OTEL_LOG_LEVEL",
    Choice("debug", "info", "warning", "error"),
    "With the distro `rs` or `install()`: the least level of this package's own log lines, on stderr if the program "
    "shows them nowhere. At `info`, the start says where each signal goes.",
    default_in_words="the program's",
)
LAZY_INSTRUMENTATIONS = Setting(
    "OTEL_RS_LAZY_INSTRUMENTATIONS",
    Boolean(),
    "With the distro `rs`: `false` loads every instrumentation at the start, with its library, as the stock distro "
    "does; `true` loads an instrumentation when the program imports its library.",
    default=True,
)
UNKNOWN_SDK = Setting(
    "OTEL_RS_UNKNOWN_SDK",
    Boolean(),
    "`true`: otel-rs also takes the place of a release of opentelemetry-sdk that is newer than those it knows. "
    "Otherwise the stock SDK is used there, and a line says so.",
    default=False,
)
INTERNAL_METRICS = Setting(
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED",
    Boolean(),
    "`true`: the SDK measures itself (`otel.sdk.*`).",
    default=False,
    if_bad=False,
)

# `context` has the API's functions for contexts, `utils` and `util_http` have functions that all instrumentations, and
# those of HTTP servers and clients, call.
_NATIVE_INSTRUMENTATIONS = (
    "asgi",
    "asyncpg",
    "celery",
    "context",
    "dbapi",
    "django",
    "fastapi",
    "flask",
    "grpc",
    "httpx",
    "redis",
    "requests",
    "sqlalchemy",
    "starlette",
    "urllib",
    "urllib3",
    "util_http",
    "utils",
    "wsgi",
)
NATIVE_INSTRUMENTATIONS = Setting(
    "OTEL_RS_NATIVE_INSTRUMENTATIONS",
    Switches(*_NATIVE_INSTRUMENTATIONS),
    "Instrumentations of which native code runs what they do in each request, in releases that this package knows.",
    default=_NATIVE_INSTRUMENTATIONS,
)

# --- Resource --------------------------------------------------------------------------------------------------------

SERVICE_NAME = Setting("OTEL_SERVICE_NAME", Kind(), "`service.name`.", default_in_words="`unknown_service`")
RESOURCE_ATTRIBUTES = Setting(
    "OTEL_RESOURCE_ATTRIBUTES", Kind("key=value, percent-encoded, with commas between them"), "More attributes."
)
RESOURCE_DETECTORS = Setting(
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
    Kind("names of detectors, with commas between them"),
    "Detectors that are asked for more: `process`, `os`, `host`, or those of other packages.",
    default_in_words="`otel`",
)

# --- Spans -----------------------------------------------------------------------------------------------------------

SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
SAMPLER = Setting(
    "OTEL_TRACES_SAMPLER",
    Kind("the name of a sampler", unquoted=True),
    f"{', '.join(f'`{name}`' for name in SAMPLERS)}, or the name that another package's sampler has.",
    default="parentbased_always_on",
)
SAMPLER_ARGUMENT = Setting(
    "OTEL_TRACES_SAMPLER_ARG",
    Number(minimum=0, maximum=1, too_large=False, whole=False),
    "The share of traces that `traceidratio` and `parentbased_traceidratio` keep; for other packages' samplers, any "
    "text that they take.",
    default=1.0,
)
ATTRIBUTE_COUNT_LIMIT = Setting(
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    _LIMIT,
    "Attributes of a span, event, link or log record; the ones over it are dropped and counted.",
    default=128,
)
ATTRIBUTE_VALUE_LENGTH_LIMIT = Setting(
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    _LIMIT,
    "Characters of an attribute's text; longer ones are cut.",
    default_in_words="no limit",
)
SPAN_ATTRIBUTE_COUNT_LIMIT = Setting(
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", _LIMIT, "Attributes of a span.", default=128, general=ATTRIBUTE_COUNT_LIMIT
)
SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT = Setting(
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    _LIMIT,
    "Characters of a span attribute's text.",
    default_in_words="no limit",
    general=ATTRIBUTE_VALUE_LENGTH_LIMIT,
)
SPAN_EVENT_COUNT_LIMIT = Setting("OTEL_SPAN_EVENT_COUNT_LIMIT", _LIMIT, "Events of a span.", default=128)
SPAN_LINK_COUNT_LIMIT = Setting("OTEL_SPAN_LINK_COUNT_LIMIT", _LIMIT, "Links of a span.", default=128)
EVENT_ATTRIBUTE_COUNT_LIMIT = Setting(
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", _LIMIT, "Attributes of an event.", default=128, general=ATTRIBUTE_COUNT_LIMIT
)
LINK_ATTRIBUTE_COUNT_LIMIT = Setting(
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", _LIMIT, "Attributes of a link.", default=128, general=ATTRIBUTE_COUNT_LIMIT
)

# --- Batches of spans ------------------------------------------------------------------------------------------------

BSP_MAX_QUEUE_SIZE = Setting(
    "OTEL_BSP_MAX_QUEUE_SIZE", _SPANS, "Spans that may wait for their export; more are dropped and counted.", 2048
)
BSP_MAX_EXPORT_BATCH_SIZE = Setting(
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", _SPANS, "Spans of one export, no more than the queue takes.", 512
)
BSP_SCHEDULE_DELAY = Setting("OTEL_BSP_SCHEDULE_DELAY", _MILLIS, "Longest time between two exports.", 5000)
BSP_EXPORT_TIMEOUT = Setting(
    "OTEL_BSP_EXPORT_TIMEOUT",
    _MILLIS_OR_NO_LIMIT,
    "Longest time for one export, with this package's exporters; 0 is no limit.",
    30000,
)
BSP_MAX_QUEUE_BYTES = Setting(
    "OTEL_RS_BSP_MAX_QUEUE_BYTES",
    _BYTES,
    "Bytes that waiting spans may take, with this package's exporters.",
    64 * 1024 * 1024,
)
BSP_MAX_CONCURRENT_EXPORTS = Setting(
    "OTEL_RS_BSP_MAX_CONCURRENT_EXPORTS",
    Number(unit="exports"),
    "Exports under way at a time, with this package's exporters.",
    2,
)
MAX_REQUEST_BYTES = Setting(
    "OTEL_RS_EXPORTER_MAX_REQUEST_BYTES",
    _BYTES,
    "Bytes of one request of spans or log records before compression; gRPC servers refuse more than 4 MiB if nobody "
    "configures them.",
    3584 * 1024,
)

# --- Metrics ---------------------------------------------------------------------------------------------------------

METRICS_MAX_BYTES = Setting(
    "OTEL_RS_METRICS_MAX_BYTES",
    _BYTES,
    "Bytes that the series of a meter provider may take; measurements of further ones are counted together.",
    256 * 1024 * 1024,
)
METRICS_CARDINALITY_LIMIT = Setting(
    "OTEL_RS_METRICS_CARDINALITY_LIMIT",
    Number(unit="series"),
    "Series of one metric, the one for all others included; upstream has no limit, the specification proposes 2000.",
    default_in_words="no limit",
)

METRIC_EXPORT_INTERVAL = Setting(
    "OTEL_METRIC_EXPORT_INTERVAL",
    Number(unit="milliseconds", minimum=0, above_minimum=True, maximum=MAX_MILLIS, whole=False, infinite=True),
    "Time between two exports of metrics; `inf` exports only when somebody flushes.",
    60000.0,
)
METRIC_EXPORT_TIMEOUT = Setting(
    "OTEL_METRIC_EXPORT_TIMEOUT",
    Number(unit="milliseconds", minimum=0, above_minimum=True, maximum=MAX_MILLIS, whole=False, infinite=True),
    "Longest time for one collection of metrics, and for one request with a native exporter.",
    30000.0,
)
METRICS_EXEMPLAR_FILTER = Setting(
    "OTEL_METRICS_EXEMPLAR_FILTER",
    Choice("trace_based", "always_on", "always_off"),
    "Which measurements may become exemplars.",
    "trace_based",
)
METRICS_TEMPORALITY = Setting(
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    Choice("cumulative", "delta", "lowmemory"),
    "Whether values count from the program's start or from the last export.",
    "cumulative",
)
METRICS_HISTOGRAMS = Setting(
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    Choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
    "How histograms are aggregated.",
    "explicit_bucket_histogram",
)

# --- Log records -----------------------------------------------------------------------------------------------------

BLRP_MAX_QUEUE_SIZE = Setting(
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    _RECORDS,
    "Log records that may wait for their export; more are dropped and counted.",
    2048,
)
BLRP_MAX_EXPORT_BATCH_SIZE = Setting(
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", _RECORDS, "Log records of one export, no more than the queue takes.", 512
)
BLRP_SCHEDULE_DELAY = Setting("OTEL_BLRP_SCHEDULE_DELAY", _MILLIS, "Longest time between two exports.", 1000)
BLRP_EXPORT_TIMEOUT = Setting(
    "OTEL_BLRP_EXPORT_TIMEOUT",
    _MILLIS_OR_NO_LIMIT,
    "Longest time for one export, with this package's exporters; 0 is no limit.",
    30000,
)
BLRP_MAX_QUEUE_BYTES = Setting(
    "OTEL_RS_BLRP_MAX_QUEUE_BYTES",
    _BYTES,
    "Bytes that waiting log records may take, with this package's exporters.",
    64 * 1024 * 1024,
)
BLRP_MAX_CONCURRENT_EXPORTS = Setting(
    "OTEL_RS_BLRP_MAX_CONCURRENT_EXPORTS",
    Number(unit="exports"),
    "Exports under way at a time, with this package's exporters.",
    2,
)
LOGRECORD_ATTRIBUTE_COUNT_LIMIT = Setting(
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    _LIMIT,
    "Attributes of a log record.",
    default=128,
    general=ATTRIBUTE_COUNT_LIMIT,
)
LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT = Setting(
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    _LIMIT,
    "Characters of a log record attribute's text.",
    default_in_words="no limit",
    general=ATTRIBUTE_VALUE_LENGTH_LIMIT,
)

# --- OTLP exporters --------------------------------------------------------------------------------------------------

OTLP_PROTOCOL = Setting(
    "OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS, "The protocol of the exporter `otlp`.", "grpc", of_signals=True
)
OTLP_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    Url(),
    "Where to send. HTTP: the general form gets `/v1/traces`, `/v1/metrics` or `/v1/logs` behind it, a signal's form "
    "is used as it is. gRPC: `http://host:port`, `https://host:port`, `host:port`, `dns:host:port`, "
    "`ipv4:address:port,address:port`, `ipv6:[address]:port` or `unix:path`, without a path; a missing port is 443.",
    default_in_words="`http://localhost:4317`, for HTTP `http://localhost:4318`",
    of_signals=True,
)
OTLP_INSECURE = Setting(
    "OTEL_EXPORTER_OTLP_INSECURE",
    Boolean(),
    "gRPC: `true` sends without TLS, unless the endpoint is `https://`.",
    default_in_words="by the endpoint's scheme",
    of_signals=True,
    if_bad=False,
)
OTLP_HEADERS = Setting(
    "OTEL_EXPORTER_OTLP_HEADERS",
    Headers(),
    "Sent with every request. Percent-encoded bytes need not be UTF-8. Over gRPC, a name that ends with `-bin` is "
    "of binary metadata.",
    of_signals=True,
    secret=True,
)
OTLP_TIMEOUT = Setting(
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    SECONDS,
    "Longest time for one export, retries included.",
    default=10.0,
    of_signals=True,
)
OTLP_COMPRESSION = Setting(
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    COMPRESSIONS,
    "How requests are compressed; `deflate` is for HTTP alone.",
    default="none",
    of_signals=True,
)
OTLP_CERTIFICATE = Setting(
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    CertificatesToTrust(),
    "The certificates to trust. Of a folder: the files that `openssl rehash` has named, or all if there are none.",
    default_in_words="those of the variables below, or the system's",
    of_signals=True,
)
SSL_CERT_DIR = Setting(
    "SSL_CERT_DIR",
    Kind("paths of folders, with colons between them (semicolons on Windows)", unquoted=True),
    "Folders of certificates to trust, together with `SSL_CERT_FILE`'s.",
    default_in_words="none",
)
SSL_CERT_FILE = Setting(
    "SSL_CERT_FILE",
    File(),
    "The certificates to trust in place of the system's, as OpenSSL reads them.",
    default_in_words="the system's",
)
CURL_CA_BUNDLE = Setting(
    "CURL_CA_BUNDLE",
    CertificatesToTrust(),
    "OTLP/HTTP: the same.",
    default_in_words="the system's",
    general=SSL_CERT_FILE,
)
REQUESTS_CA_BUNDLE = Setting(
    "REQUESTS_CA_BUNDLE",
    CertificatesToTrust(),
    "OTLP/HTTP: the certificates to trust where `OTEL_EXPORTER_OTLP_CERTIFICATE` names none.",
    default_in_words="the system's",
    general=CURL_CA_BUNDLE,
)
GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = Setting(
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    CertificatesToTrust(),
    "OTLP/gRPC: the certificates to trust where `OTEL_EXPORTER_OTLP_CERTIFICATE` names none.",
    default_in_words="the system's",
    general=SSL_CERT_FILE,
)
OTLP_CLIENT_KEY = Setting(
    "OTEL_EXPORTER_OTLP_CLIENT_KEY", File(), "The key of the client's certificate.", of_signals=True
)
OTLP_CLIENT_CERTIFICATE = Setting(
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", File(), "The client's certificate and its chain.", of_signals=True
)
GRPC_RETRYABLE_CODES = Setting(
    "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES",
    GrpcCodes(),
    "gRPC: status codes that are tried again, with commas between them.",
    default_in_words="the specification's",
)
GRPC_CREDENTIAL_PROVIDER = Setting(
    "OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER",
    Kind("the name of a credential provider", unquoted=True),
    "gRPC with TLS: the stock exporter sends, with the `grpc.ChannelCredentials` that this entry point of the group "
    "`opentelemetry_otlp_credential_provider` returns; needs `opentelemetry-exporter-otlp-proto-grpc`.",
    of_signals=True,
)
HTTP_CREDENTIAL_PROVIDER = Setting(
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    Kind("the name of a credential provider", unquoted=True),
    "HTTP: likewise, with the `requests.Session` that it returns; needs `opentelemetry-exporter-otlp-proto-http`.",
    of_signals=True,
)

# --- Proxies, which the native part reads --------------------------------------------------------------------------

_PROXY = Url("the address of a proxy, `http://` or `https://`")
_EXCEPTIONS = Kind("names, addresses and networks, with commas between them")

HTTP_PROXY = Setting(
    "http_proxy",
    _PROXY,
    "The proxy to `http://` endpoints. One that cannot be used fails every export: nothing goes around it. Of this and "
    "the next three, the upper case is read if the lower case is not set; in CGI, `HTTP_PROXY` is not.",
)
HTTPS_PROXY = Setting("https_proxy", _PROXY, "The proxy to `https://` endpoints.")
ALL_PROXY = Setting("all_proxy", _PROXY, "OTLP/HTTP: the proxy where neither of the two above names one.")
NO_PROXY = Setting(
    "no_proxy",
    _EXCEPTIONS,
    "Receivers that are reached without the proxy: a name, which stands for all below it as well, an IP address, a "
    "network such as `10.0.0.0/8`, the first two also as `host:port`, or `*` for all.",
)
GRPC_PROXY = Setting(
    "grpc_proxy",
    _PROXY,
    "OTLP/gRPC: the proxy, with and without TLS. If it is not set, the first of `https_proxy`, `http_proxy`, "
    "`HTTPS_PROXY` and `HTTP_PROXY` that is; an empty one means none.",
)
NO_GRPC_PROXY = Setting("no_grpc_proxy", _EXCEPTIONS, "OTLP/gRPC: takes the place of `no_proxy`, even if it is empty.")

# --- The end of the process ------------------------------------------------------------------------------------------

EXIT_TIMEOUT = Setting(
    "OTEL_RS_EXIT_TIMEOUT", _MILLIS, "How long the process may take to deliver what is left when it ends.", 10000
)

GROUPS: dict[str, tuple[Setting, ...]] = {
    "Who sets the program up": (
        PYTHON_DISTRO,
        PYTHON_CONFIGURATOR,
        CONFIG_FILE,
        SDK_DISABLED,
        TRACES_EXPORTER,
        METRICS_EXPORTER,
        LOGS_EXPORTER,
        ID_GENERATOR,
        TRACER_CONFIGURATOR,
        METER_CONFIGURATOR,
        LOGGER_CONFIGURATOR,
        PROPAGATORS,
        LOGGING_AUTO_INSTRUMENTATION,
        LOG_LEVEL,
        LAZY_INSTRUMENTATIONS,
        UNKNOWN_SDK,
        INTERNAL_METRICS,
        NATIVE_INSTRUMENTATIONS,
    ),
    "Resource": (SERVICE_NAME, RESOURCE_ATTRIBUTES, RESOURCE_DETECTORS),
    "OTLP exporters": (
        OTLP_PROTOCOL,
        OTLP_ENDPOINT,
        OTLP_INSECURE,
        OTLP_HEADERS,
        OTLP_TIMEOUT,
        OTLP_COMPRESSION,
        OTLP_CERTIFICATE,
        OTLP_CLIENT_KEY,
        OTLP_CLIENT_CERTIFICATE,
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH,
        REQUESTS_CA_BUNDLE,
        CURL_CA_BUNDLE,
        SSL_CERT_FILE,
        SSL_CERT_DIR,
        GRPC_RETRYABLE_CODES,
        GRPC_CREDENTIAL_PROVIDER,
        HTTP_CREDENTIAL_PROVIDER,
    ),
    "Proxies": (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, GRPC_PROXY, NO_GRPC_PROXY),
    "Sampling and limits": (
        SAMPLER,
        SAMPLER_ARGUMENT,
        ATTRIBUTE_COUNT_LIMIT,
        ATTRIBUTE_VALUE_LENGTH_LIMIT,
        SPAN_ATTRIBUTE_COUNT_LIMIT,
        SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
        SPAN_EVENT_COUNT_LIMIT,
        SPAN_LINK_COUNT_LIMIT,
        EVENT_ATTRIBUTE_COUNT_LIMIT,
        LINK_ATTRIBUTE_COUNT_LIMIT,
        LOGRECORD_ATTRIBUTE_COUNT_LIMIT,
        LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    ),
    "Batches of spans": (
        BSP_MAX_QUEUE_SIZE,
        BSP_MAX_EXPORT_BATCH_SIZE,
        BSP_SCHEDULE_DELAY,
        BSP_EXPORT_TIMEOUT,
        BSP_MAX_QUEUE_BYTES,
        BSP_MAX_CONCURRENT_EXPORTS,
        MAX_REQUEST_BYTES,
    ),
    "Metrics": (
        METRIC_EXPORT_INTERVAL,
        METRIC_EXPORT_TIMEOUT,
        METRICS_EXEMPLAR_FILTER,
        METRICS_TEMPORALITY,
        METRICS_HISTOGRAMS,
        METRICS_MAX_BYTES,
        METRICS_CARDINALITY_LIMIT,
    ),
    "Batches of log records": (
        BLRP_MAX_QUEUE_SIZE,
        BLRP_MAX_EXPORT_BATCH_SIZE,
        BLRP_SCHEDULE_DELAY,
        BLRP_EXPORT_TIMEOUT,
        BLRP_MAX_QUEUE_BYTES,
        BLRP_MAX_CONCURRENT_EXPORTS,
    ),
    "The end of the process": (EXIT_TIMEOUT,),
}

ALL: tuple[Setting, ...] = tuple(form for group in GROUPS.values() for setting in group for form in setting.forms())
