"""The private names of the stock gRPC exporters."""

from __future__ import annotations

from otel_rs.exporter.otlp._stock_names import ShutdownName, StockMethod, StockName, stock_names


@stock_names
class GrpcStockNames:
    """Those of all signals."""

    _package = "grpc"

    _channel = StockName(hands_out=True)
    _channel_options = StockName()
    _client = StockName(hands_out=True)
    _collector_kwargs = StockName()
    _component_type = StockName()
    _compression = StockName()
    _credentials = StockName()
    _endpoint = StockName()
    _headers = StockName()
    _insecure = StockName()
    _metrics = StockName()
    _result = StockName()
    _retryable_error_codes = StockName()
    _shutdown = ShutdownName()
    _shutdown_in_progress = StockName(hands_out=True)
    _stub = StockName()
    _timeout = StockName()

    _count_data = StockMethod()
    _export = StockMethod()
    _exporting = StockMethod()
    _initialize_channel_and_stub = StockMethod()
    _set_meter_provider = StockMethod()
    _translate_data = StockMethod()


@stock_names
class GrpcMetricStockNames(GrpcStockNames):
    _common_configuration = StockMethod()
    _get_aggregation = StockMethod()
    _get_temporality = StockMethod()
    _max_export_batch_size = StockName()
    _split_metrics_data = StockMethod()
