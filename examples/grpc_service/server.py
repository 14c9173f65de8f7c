"""A gRPC server without tracing."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from prices_grpc import add_prices_to_server

PRICES = {"lamp": 40, "table": 200}

logger = logging.getLogger(__name__)


class Prices:
    def Price(self, item: StringValue, context: grpc.ServicerContext) -> Int64Value:
        if item.value not in PRICES:
            logger.warning("no price of a %s", item.value)
            context.abort(grpc.StatusCode.NOT_FOUND, f"nobody sells a {item.value}")
        return Int64Value(value=PRICES[item.value])

    def Catalogue(self, start: StringValue, context: grpc.ServicerContext) -> Iterator[StringValue]:
        for item in PRICES:
            if item.startswith(start.value):
                yield StringValue(value=item)

    def Total(self, items: Iterator[StringValue], context: grpc.ServicerContext) -> Int64Value:
        return Int64Value(value=sum(PRICES[item.value] for item in items))


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    add_prices_to_server(Prices(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '50051')}")
    server.start()
    server.wait_for_termination()
