"""No tracing in here. `/again` shows what a second `instrument()` and an `uninstrument()` do."""

import json
import logging

from acme_orders import OrdersInstrumentor
from flask import Flask

logging.basicConfig()
app = Flask(__name__)


@app.route("/orders")
def orders() -> str:
    return str(json.loads('{"orders": 3}')["orders"])


@app.route("/again")
def again() -> str:
    OrdersInstrumentor().instrument()  # a warning, and nothing else
    OrdersInstrumentor().uninstrument()
    return str(json.loads("4"))  # without a span


if __name__ == "__main__":
    app.run(port=8082)
