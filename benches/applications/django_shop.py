"""The shop as a Django application."""

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from shop import Shop, log_to_null

log_to_null()
application = get_wsgi_application()
shop = Shop()


def order(request: HttpRequest, number: int) -> JsonResponse:
    return JsonResponse(shop.order(number))


urlpatterns = [path("orders/<int:number>", order)]
