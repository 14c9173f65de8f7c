"""The API to register responses, as in the package of this name."""

from __future__ import annotations

from typing import Any, NamedTuple

from mocket import Mocketizer


class Response(NamedTuple):
    body: str = ""
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012  # nobody changes it


class Entry:
    POST = "POST"

    @classmethod
    def register(cls, _method: str, url: str, *responses: Any) -> None:
        if Mocketizer._entered is None:
            raise RuntimeError("register within a Mocketizer")
        Mocketizer._entered.register(url, list(responses) or [Response()])

    @classmethod
    def single_register(
        cls, method: str, url: str, body: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        cls.register(method, url, Response(body, status, headers or {}))
