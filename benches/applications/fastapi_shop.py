"""The shop as a FastAPI application. It asks for prices with httpx, as an application that awaits does."""

import fastapi
import httpx
from shop import Shop, log_to_null, placed

log_to_null()
application = fastapi.FastAPI()
shop = Shop()
client = httpx.AsyncClient(base_url=shop.prices)


@application.get("/orders/{number}")
async def order(number: int) -> dict[str, object]:
    name = shop.product(number)
    price = (await client.get("/prices/7")).json()["price"]
    placed(number, name)
    return {"order": number, "product": name, "price": price}
