"""The client and server sides of prices.proto, short enough to be written by hand: its messages are protobuf's own."""

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import Int64Value, StringValue


class PricesStub:
    def __init__(self, channel: Any) -> None:
        item = StringValue.SerializeToString
        self.Price = channel.unary_unary("/shop.Prices/Price", item, Int64Value.FromString)
        self.Catalogue = channel.unary_stream("/shop.Prices/Catalogue", item, StringValue.FromString)
        self.Total = channel.stream_unary("/shop.Prices/Total", item, Int64Value.FromString)


def add_prices_to_server(prices: Any, server: Any) -> None:
    item, number = StringValue.FromString, Int64Value.SerializeToString
    methods = {
        "Price": grpc.unary_unary_rpc_method_handler(prices.Price, item, number),
        "Catalogue": grpc.unary_stream_rpc_method_handler(prices.Catalogue, item, StringValue.SerializeToString),
        "Total": grpc.stream_unary_rpc_method_handler(prices.Total, item, number),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Prices", methods),))
