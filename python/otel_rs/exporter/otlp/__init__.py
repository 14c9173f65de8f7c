"""OTLP exporters: ``otel_rs.exporter.otlp.grpc`` and ``otel_rs.exporter.otlp.http``."""

from otel_rs.exporter.otlp._config import Compression
from otel_rs.exporter.otlp._tls import TlsCredentials

__all__ = ["Compression", "TlsCredentials"]
