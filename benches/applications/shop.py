"""What a request does in every application: one query, one call to another service, one log line.

The log line goes to the null device, formatted, as a program's lines go to its terminal.
"""

import logging
import os
import sqlite3

import prices
import requests

PRODUCTS = 100

_logger = logging.getLogger("shop")


class Shop:
    def __init__(self) -> None:
        self.prices = os.environ[prices.VARIABLE]
        self._session = requests.Session()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        # The instrumentation traces cursors alone, so this makes no spans.
        self._database.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT)")
        products = [(each, f"tea {each}") for each in range(PRODUCTS)]
        self._database.executemany("INSERT INTO product VALUES (?, ?)", products)
        self._database.commit()

    def product(self, number: int) -> str:
        cursor = self._database.cursor()
        cursor.execute("SELECT name FROM product WHERE id = ?", (number % PRODUCTS,))
        name: str = cursor.fetchone()[0]
        cursor.close()
        return name

    def order(self, number: int) -> dict[str, object]:
        name = self.product(number)
        price = self._session.get(f"{self.prices}/prices/7").json()["price"]
        placed(number, name)
        return {"order": number, "product": name, "price": price}


def placed(number: int, name: str) -> None:
    _logger.info("order %s of %s placed", number, name, extra={"order.id": number})


def log_to_null() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=open(os.devnull, "w"),  # noqa: SIM115
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    # One line a request: the HTTP clients' own lines are debugging.
    logging.getLogger("httpx").setLevel(logging.WARNING)
