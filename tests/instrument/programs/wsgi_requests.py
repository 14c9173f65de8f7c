"""Requests to a WSGI application, without a server."""

from __future__ import annotations

import io
import sys
from typing import Any

from recorded import seen

_ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "shop.example:8000",
    "HTTP_USER_AGENT": "curl/8.1",
    "REMOTE_ADDR": "10.1.2.3",
    "REMOTE_PORT": "51234",
    "HTTP_TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "HTTP_X_CUSTOM": "custom",
    "wsgi.url_scheme": "http",
}


def environ_of(path: str, **changes: Any) -> dict[str, Any]:
    """What a server passes. A change to None leaves the name out."""
    own = {"PATH_INFO": path, "RAW_URI": path, "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}
    return {name: value for name, value in {**_ENVIRON, **own, **changes}.items() if value is not None}


def send(app: Any, path: str, **changes: Any) -> None:
    """Notes what the application answers."""
    answers: list[Any] = []
    try:
        result = app(environ_of(path, **changes), lambda *answer: answers.extend(answer[:2]))
        body = b"".join(result).decode()
        result.close()
    except Exception as error:
        seen.append([path, changes, repr(error)])
    else:
        # The ids in a propagated header differ.
        headers = [name for name, _ in answers[1]]
        seen.append([path, changes, answers[0], headers, body[:20]])
