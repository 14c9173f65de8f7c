"""Requests of many kinds that `requests` sends to a server."""

from __future__ import annotations

import http.server
import sys
import threading

from recorded import print_recorded, seen, set_up
from replaced import add_to_lists, replace

set_up()

import requests  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import requests as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402
from opentelemetry.util.http.httplib import HttpClientInstrumentor  # noqa: E402

OPTIONS = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0" if "old protocol" in OPTIONS else "HTTP/1.1"

    def answer(self) -> None:
        seen.append([self.command, self.path, sorted(name.lower() for name in self.headers)])
        code = int(self.path.rpartition("/")[2].partition("?")[0] or 200) if "/status/" in self.path else 200
        self.send_response(code)
        if code == 302:
            self.send_header("location", "/status/204")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_BREW = answer

    def log_message(self, *_: object) -> None:
        pass


def request_hook(span: trace.Span, request: requests.PreparedRequest) -> None:
    seen.append(["request hook", span.is_recording(), request.method])


def response_hook(span: trace.Span, request: requests.PreparedRequest, response: requests.Response) -> None:
    seen.append(["response hook", span.is_recording(), response.status_code])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_port
if "http.client" in OPTIONS:
    HttpClientInstrumentor().instrument()
hooks = {"request_hook": request_hook, "response_hook": response_hook} if "hooks" in OPTIONS else {}
if "excluded" in OPTIONS:
    hooks["excluded_urls"] = "excluded"
replace(contrib, "get_default_span_name", "redact_url")
add_to_lists()
contrib.RequestsInstrumentor().instrument(**hooks)


def send(method: str, url: str, **options: object) -> None:
    try:
        response = requests.request(method, url, timeout=10, **options)
    except Exception as error:
        seen.append([method, type(error).__name__])
    else:
        seen.append([method, response.status_code])


root = f"http://127.0.0.1:{port}"
for path in ("/", "/a?b=c", "/?sig=secret", "/?s%69g=secret", "/#fragment", "/excluded", "/a b", "/\xfc"):
    send("GET", root + path)
for code in (201, 302, 404, 500):
    send("GET", f"{root}/status/{code}")
send("GET", f"{root}/?token=secret")
send("POST", root, data=b"x")
send("BREW", root)
send("get", root)
for agent in ("curl/8", "Mozilla/5.0", "Googlebot/2.1", None, b"bytes"):
    send("GET", root, headers={"User-Agent": agent})
send("GET", f"http://user:password@127.0.0.1:{port}/")
send("GET", f"http://LOCALHOST:{port}/")
send("GET", "http://127.0.0.1:1/")
send("GET", "http:///nothing")
with suppress_instrumentation():
    send("GET", root)
with trace.get_tracer("test").start_as_current_span("outer"):
    send("GET", root)
contrib.RequestsInstrumentor().uninstrument()
send("GET", root)
print_recorded(port, instrument=contrib._instrument)
