"""A Django view that asks a database, with a span of its own around that."""

import sqlite3

from django.http import HttpRequest, HttpResponse
from django.urls import path
from opentelemetry import trace

tracer = trace.get_tracer("shop.orders")


def price(number: int) -> int:
    with tracer.start_as_current_span("price") as span:
        span.set_attribute("order.number", number)
        connection = sqlite3.connect(":memory:")
        try:
            return connection.cursor().execute("SELECT ? * 7", (number,)).fetchone()[0]
        finally:
            connection.close()


def order(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"{price(number)}")


urlpatterns = [path("orders/<int:number>", order)]
