"""A Flask program without tracing that puts orders into the queue."""

import os

from flask import Flask
from shop import take_order

web = Flask(__name__)


@web.post("/orders/<int:number>")
def order(number: int) -> str:
    return take_order.delay(number).id


if __name__ == "__main__":
    web.run(port=int(os.environ.get("PORT", "8082")))
