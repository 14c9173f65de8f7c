"""The client with asyncio: the first two calls at once."""

import asyncio
import os

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from prices_grpc import PricesStub


async def catalogue(prices: PricesStub) -> list[StringValue]:
    return [item async for item in prices.Catalogue(StringValue())]


async def main() -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{os.environ.get('PORT', '50051')}") as channel:
        prices = PricesStub(channel)
        lamp, items = await asyncio.gather(prices.Price(StringValue(value="lamp")), catalogue(prices))
        print(lamp.value)
        print((await prices.Total(iter(items))).value)
        try:
            await prices.Price(StringValue(value="rug"))
        except grpc.RpcError as error:
            print(error.code(), error.details())


asyncio.run(main())
