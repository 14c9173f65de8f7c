"""The private names of the stock HTTP exporters."""

from __future__ import annotations

from otel_rs.exporter.otlp._stock_names import ShutdownName, StockMethod, StockName, stock_names


@stock_names
class HttpStockNames:
    """Those of all signals."""

    _package = "http"

    _client = StockName(hands_out=True)
    _compression = StockName()
    _endpoint = StockName()
    _max_request_size = StockName()
    _metrics = StockName()
    _shutdown = ShutdownName()


@stock_names
class HttpMetricStockNames(HttpStockNames):
    _export_batch = StockMethod()
    _max_export_batch_size = StockName()
