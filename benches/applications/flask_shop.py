"""The shop as a Flask application."""

from typing import Any

import flask
from shop import Shop, log_to_null

log_to_null()
application = flask.Flask("shop")
shop = Shop()


@application.get("/orders/<int:number>")
def order(number: int) -> dict[str, Any]:
    return shop.order(number)
