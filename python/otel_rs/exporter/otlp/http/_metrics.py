"""The metric exporter."""

from __future__ import annotations

import os

from opentelemetry.metrics import MeterProvider

from otel_rs.exporter.otlp._config import Headers
from otel_rs.exporter.otlp._metrics import Aggregations, NativeMetricExporter, Temporalities
from otel_rs.exporter.otlp.http._arguments import HttpArguments
from otel_rs.exporter.otlp.http._stock_names import HttpMetricStockNames


class OTLPMetricExporter(HttpMetricStockNames, NativeMetricExporter):
    """Sends metrics by OTLP/HTTP. The arguments in common are those of ``otel_rs.exporter.otlp.http``.

    Args:
        preferred_temporality: By instrument class. Those left out are by
            ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE``: ``cumulative`` (default), ``delta``, ``lowmemory``.
        preferred_aggregation: By instrument class. Histograms, if left out, are by
            ``OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION``: ``explicit_bucket_histogram`` (default),
            ``base2_exponential_bucket_histogram``.
        max_export_batch_size: Data points of one request; more go out in several, each with the timeout to itself.
            Default: any number.
    """

    __module__ = "otel_rs.exporter.otlp.http"

    def __init__(
        self,
        endpoint: str | None = None,
        certificate_file: str | os.PathLike[str] | None = None,
        client_key_file: str | os.PathLike[str] | None = None,
        client_certificate_file: str | os.PathLike[str] | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        compression: object = None,
        session: object = None,
        preferred_temporality: Temporalities | None = None,
        preferred_aggregation: Aggregations | None = None,
        max_export_batch_size: int | None = None,
        *,
        max_request_size: int | None = None,
        meter_provider: MeterProvider | None = None,
        protocol: str | None = None,
        _transport: object = None,
    ) -> None:
        super().__init__(
            HttpArguments(
                endpoint=endpoint,
                certificate_file=certificate_file,
                client_key_file=client_key_file,
                client_certificate_file=client_certificate_file,
                headers=headers,
                timeout=timeout,
                compression=compression,
                session=session,
                max_request_size=max_request_size,
                protocol=protocol,
                transport=_transport,
            ),
            meter_provider,
            preferred_temporality=preferred_temporality,
            preferred_aggregation=preferred_aggregation,
            max_export_batch_size=max_export_batch_size,
        )
