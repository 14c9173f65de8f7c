"""The server with asyncio."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator

import grpc
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from prices_grpc import add_prices_to_server
from server import PRICES

logger = logging.getLogger(__name__)


class Prices:
    async def Price(self, item: StringValue, context: grpc.aio.ServicerContext) -> Int64Value:
        if item.value not in PRICES:
            logger.warning("no price of a %s", item.value)
            await context.abort(grpc.StatusCode.NOT_FOUND, f"nobody sells a {item.value}")
        return Int64Value(value=PRICES[item.value])

    async def Catalogue(self, start: StringValue, context: grpc.aio.ServicerContext) -> AsyncIterator[StringValue]:
        for item in PRICES:
            if item.startswith(start.value):
                yield StringValue(value=item)

    async def Total(self, items: AsyncIterator[StringValue], context: grpc.aio.ServicerContext) -> Int64Value:
        return Int64Value(value=sum([PRICES[item.value] async for item in items]))


async def main() -> None:
    server = grpc.aio.server()
    add_prices_to_server(Prices(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '50051')}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
