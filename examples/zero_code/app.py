"""A Flask program that asks another service, here itself, and logs. It knows nothing of OpenTelemetry."""

import logging

import requests
from flask import Flask, url_for

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("shop")

app = Flask(__name__)


@app.route("/orders/<int:number>")
def order(number):
    price = int(requests.get(url_for("price", number=number, _external=True), timeout=10).text)
    logger.info("order %d costs %d", number, price)
    return str(price)


@app.route("/prices/<int:number>")
def price(number):
    logger.warning("the price of %d is a guess", number)
    return str(7 * number)


if __name__ == "__main__":
    app.run(port=8082)
