"""OTLP over HTTP.

Variables have a form for each signal (``OTEL_EXPORTER_OTLP_TRACES_...``, ``_METRICS_``, ``_LOGS_``), which comes before
the general one. The exporters have these arguments in common:

- ``endpoint``: The full URL, used as it is. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL]_ENDPOINT`` as it is, or
  ``OTEL_EXPORTER_OTLP_ENDPOINT`` with ``/v1/traces``, ``/v1/metrics`` or ``/v1/logs`` behind it,
  ``http://localhost:4318``.
- ``certificate_file``: PEM, the certificates to trust in place of the system's. Default:
  ``OTEL_EXPORTER_OTLP_[SIGNAL_]CERTIFICATE``, then ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, then ``SSL_CERT_FILE``
  and ``SSL_CERT_DIR``.
- ``client_key_file``: PEM, the key of the client's certificate. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]CLIENT_KEY``.
- ``client_certificate_file``: PEM, the client's certificate and its chain. Default:
  ``OTEL_EXPORTER_OTLP_[SIGNAL_]CLIENT_CERTIFICATE``.
- ``headers``: Sent with every request, over those of ``OTEL_EXPORTER_OTLP_[SIGNAL_]HEADERS``. Values are texts, bytes
  or numbers; None leaves the header out.
- ``timeout``: Seconds for one export, retries included. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]TIMEOUT``, 10.
- ``compression``: ``Compression.Gzip``, ``Deflate`` or ``Zstd``. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]COMPRESSION``,
  none.
- ``session``: A ``requests.Session``. Its headers, proxies, certificates, and ``auth`` of a name and a password are
  honoured natively, below the exporter's own; with whatever else it does the stock exporter sends.
- ``max_request_size``: Bytes of the longest request, before compression; longer ones are dropped by ``export``, and
  sent in parts by a native ``BatchSpanProcessor``. Zero or less: any length. Default: 64 MiB.
- ``meter_provider``: For the exporter's own metrics, where ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is true.
  Default: the global one.
- ``protocol``: ``http/protobuf`` or ``http/json``. Default: ``OTEL_EXPORTER_OTLP_[SIGNAL_]PROTOCOL`` if it is one of
  them, else ``http/protobuf``.

The stock exporter, of ``opentelemetry-exporter-otlp-proto-http``, sends with a session that the native one cannot
read or that was changed, and with that of ``OTEL_PYTHON_EXPORTER_OTLP_HTTP_[SIGNAL_]CREDENTIAL_PROVIDER``. One line
says so. Where that package is not installed, such an argument raises ValueError, and with such a variable nothing is
sent. It also answers for its private attributes, and sends once one of them was handed out or set.

Arguments that cannot be used raise ValueError. Variables that cannot be used cost themselves and one error line; see
``otel_rs.settings``.

Specification: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_rs._lazy_exports import lazy_exports, with_exports
from otel_rs.exporter.otlp.http._spans import OTLPSpanExporter

if TYPE_CHECKING:
    from otel_rs.exporter.otlp.http._logs import OTLPLogExporter
    from otel_rs.exporter.otlp.http._metrics import OTLPMetricExporter

__all__ = ["OTLPLogExporter", "OTLPMetricExporter", "OTLPSpanExporter"]

# A program that exports spans alone does not import the SDK's metrics and logs.
if not TYPE_CHECKING:
    _MODULES = {"OTLPLogExporter": "_logs", "OTLPMetricExporter": "_metrics"}
    __getattr__ = lazy_exports(__name__, _MODULES)
    __dir__ = with_exports(__name__, _MODULES)
