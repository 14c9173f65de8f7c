"""OTLP over gRPC.

Variables have a form for each signal (``OTEL_EXPORTER_OTLP_TRACES_...``, ``_METRICS_``, ``_LOGS_``), which comes before
the general one. The exporters have these arguments in common:

- ``endpoint``: ``http://host:port`` without TLS, ``https://host:port`` with it, ``host:port``, where ``insecure``
  decides, or a socket as ``unix:path``. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]ENDPOINT``, ``http://localhost:4317``.
- ``insecure``: No TLS. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]INSECURE``, else by the endpoint's scheme.
- ``credentials``: ``otel_rs.exporter.otlp.TlsCredentials``, or grpcio's, with which the stock exporter sends. Default:
  ``OTEL_EXPORTER_OTLP_[SIGNAL_]CERTIFICATE``, ``_CLIENT_KEY`` and ``_CLIENT_CERTIFICATE``.
- ``headers``: Sent with every request, in place of ``OTEL_EXPORTER_OTLP_[SIGNAL_]HEADERS``, which is the default.
  Values are texts, bytes, numbers, or None for an empty one; any bytes if the name ends with ``-bin``.
- ``timeout``: Seconds for one export, retries included. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]TIMEOUT``, 10.
- ``compression``: ``Compression.Gzip`` or ``Zstd``. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]COMPRESSION``, none.
- ``channel_options``: grpcio's. User agents, proxies and ``grpc.max_send_message_length`` are honoured natively; those
  about keepalive, buffers, name resolution and reconnecting have no effect. With any other the stock exporter sends.
- ``retryable_error_codes``: gRPC's status codes that are retried in place of the specification's: ``grpc.StatusCode``,
  names or numbers. Default: ``OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES`` (names, with commas), the
  specification's.
- ``meter_provider``: For the exporter's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.
  Default: the global one.

The stock exporter, of ``opentelemetry-exporter-otlp-proto-grpc``, sends with credentials and options that only grpcio
can use, and with the credentials of ``OTEL_PYTHON_EXPORTER_OTLP_GRPC_[SIGNAL_]CREDENTIAL_PROVIDER``. One line says so.
Where that package is not installed, such an argument raises ValueError, and with such a variable nothing is sent. It
also answers for its private attributes, and sends once one of them was handed out or set.

Arguments that cannot be used raise ValueError. Variables that cannot be used cost themselves and one error line; see
``otel_rs.settings``.

Specification: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_rs._lazy_exports import lazy_exports, with_exports
from otel_rs.exporter.otlp.grpc._spans import OTLPSpanExporter

if TYPE_CHECKING:
    from otel_rs.exporter.otlp.grpc._logs import OTLPLogExporter
    from otel_rs.exporter.otlp.grpc._metrics import OTLPMetricExporter

__all__ = ["OTLPLogExporter", "OTLPMetricExporter", "OTLPSpanExporter"]

# A program that exports spans alone does not import the SDK's metrics and logs.
if not TYPE_CHECKING:
    _MODULES = {"OTLPLogExporter": "_logs", "OTLPMetricExporter": "_metrics"}
    __getattr__ = lazy_exports(__name__, _MODULES)
    __dir__ = with_exports(__name__, _MODULES)
