"""A message by its number, and a page that says which process answered."""

import os

from django.http import HttpRequest, JsonResponse
from django.urls import path

from message.actions import awesome_action


def message(request: HttpRequest, id: int) -> JsonResponse:
    return JsonResponse({"text": awesome_action(id), "pid": os.getpid()})


urlpatterns = [path("messages/<int:id>", message)]
