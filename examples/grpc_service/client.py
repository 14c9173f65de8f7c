"""A gRPC client without tracing: an answer, a stream of answers, a stream of requests, and an error."""

import os

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from prices_grpc import PricesStub

with grpc.insecure_channel(f"127.0.0.1:{os.environ.get('PORT', '50051')}") as channel:
    prices = PricesStub(channel)
    print(prices.Price(StringValue(value="lamp")).value)
    items = list(prices.Catalogue(StringValue()))
    print(prices.Total(iter(items)).value)
    try:
        prices.Price(StringValue(value="rug"))
    except grpc.RpcError as error:
        print(error.code(), error.details())
