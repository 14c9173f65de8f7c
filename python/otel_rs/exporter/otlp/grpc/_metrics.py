"""The metric exporter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.metrics import MeterProvider

from otel_rs.exporter.otlp._config import Headers
from otel_rs.exporter.otlp._metrics import Aggregations, NativeMetricExporter, Temporalities
from otel_rs.exporter.otlp.grpc._arguments import GrpcArguments
from otel_rs.exporter.otlp.grpc._stock_names import GrpcMetricStockNames


class OTLPMetricExporter(GrpcMetricStockNames, NativeMetricExporter):
    """Sends metrics by OTLP/gRPC. The arguments in common are those of ``otel_rs.exporter.otlp.grpc``.

    Args:
        preferred_temporality: By instrument class. Those left out are by
            ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE``: ``cumulative`` (default), ``delta``, ``lowmemory``.
        preferred_aggregation: By instrument class. Histograms, if left out, are by
            ``OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION``: ``explicit_bucket_histogram`` (default),
            ``base2_exponential_bucket_histogram``.
        max_export_batch_size: Data points of one request; more go out in several, each with the timeout to itself.
            Default: any number.
    """

    __module__ = "otel_rs.exporter.otlp.grpc"

    def __init__(
        self,
        endpoint: str | None = None,
        insecure: bool | None = None,
        credentials: object = None,
        headers: Headers | None = None,
        timeout: float | None = None,
        compression: object = None,
        preferred_temporality: Temporalities | None = None,
        preferred_aggregation: Aggregations | None = None,
        max_export_batch_size: int | None = None,
        channel_options: Iterable[Any] | None = None,
        retryable_error_codes: object = None,
        *,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(
            GrpcArguments(
                endpoint=endpoint,
                insecure=insecure,
                credentials=credentials,
                headers=headers,
                timeout=timeout,
                compression=compression,
                channel_options=channel_options,
                retryable_error_codes=retryable_error_codes,
            ),
            meter_provider,
            preferred_temporality=preferred_temporality,
            preferred_aggregation=preferred_aggregation,
            max_export_batch_size=max_export_batch_size,
        )
