"""A FastAPI program without tracing: it reads orders by async SQLAlchemy, and asks for prices, of itself, by httpx."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

logger = logging.getLogger(__name__)

engine = create_async_engine(os.environ.get("DATABASE_URL", "mysql+aiomysql://shop:shop@127.0.0.1/shop"))
prices = httpx.AsyncClient(base_url=os.environ.get("PRICES_URL", "http://127.0.0.1:8000"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await prices.aclose()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT item FROM order_items WHERE number = :number ORDER BY item"), {"number": number}
        )
        items = list(rows.scalars())
    if not items:
        logger.warning("no order %d", number)
        raise HTTPException(404, "no such order")
    answers = await asyncio.gather(*(prices.get(f"/prices/{item}") for item in items))
    return {"number": number, "total": sum(answer.raise_for_status().json()["price"] for answer in answers)}


@app.get("/prices/{item}")
async def price(item: str) -> dict[str, int]:
    return {"price": {"lamp": 40, "table": 200}[item]}


@app.get("/version")
async def version() -> int:
    return 1
