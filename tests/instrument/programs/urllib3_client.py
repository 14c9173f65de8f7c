"""Requests of many kinds that urllib3 sends to a server."""

from __future__ import annotations

import functools
import io
import sys
from typing import Any

from answers import serve
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from recorded import print_recorded, seen, set_up

OPTIONS = sys.argv[1:]
set_up(ALWAYS_OFF if "unsampled" in OPTIONS else None)

import urllib3  # noqa: E402
from opentelemetry import trace  # noqa: E402
from opentelemetry.instrumentation import urllib3 as contrib  # noqa: E402
from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: E402
from opentelemetry.util.http.httplib import HttpClientInstrumentor, set_ip_on_next_http_connection  # noqa: E402
from urllib3.connectionpool import HTTPConnectionPool  # noqa: E402


def request_hook(span: trace.Span, pool: HTTPConnectionPool, request: Any) -> None:
    body = type(request.body).__name__
    seen.append(["request hook", span.is_recording(), pool.host, request.method, request.url, body])


def response_hook(span: trace.Span, pool: HTTPConnectionPool, response: Any) -> None:
    seen.append(["response hook", span.is_recording(), pool.host, response.status])


port = serve("old protocol" in OPTIONS)
if "http.client" in OPTIONS:
    HttpClientInstrumentor().instrument()
options: dict[str, Any] = {}
if "hooks" in OPTIONS:
    options |= {"request_hook": request_hook, "response_hook": response_hook}
if "filter" in OPTIONS:
    options["url_filter"] = lambda url: url.partition("?")[0]
if "excluded" in OPTIONS:
    options["excluded_urls"] = "excluded"
if "wrapped" in OPTIONS:
    urlopen = HTTPConnectionPool.urlopen

    @functools.wraps(urlopen)
    def noting(*args: Any, **kwargs: Any) -> Any:
        seen.append(["another's", len(args), sorted(kwargs)])
        return urlopen(*args, **kwargs)

    HTTPConnectionPool.urlopen = noting  # type: ignore[method-assign]
contrib.URLLib3Instrumentor().instrument(**options)


def note(call: Any, *args: Any, **kwargs: Any) -> None:
    try:
        response = call(*args, **kwargs)
    except Exception as error:
        seen.append([repr(args)[:60], type(error).__name__])
    else:
        seen.append([repr(args)[:60], response.status])


root = f"http://127.0.0.1:{port}"
pools = urllib3.PoolManager(retries=False)
for path in ("/", "/a?b=c", "/?sig=secret", "/?s%69g=secret", "/#fragment", "/excluded", "/a b", "/\xfc"):
    note(pools.request, "GET", root + path)
for code in (201, 302, 404, 500):
    note(pools.request, "GET", f"{root}/status/{code}")
note(urllib3.PoolManager(retries=2).request, "GET", f"{root}/status/302")
note(urllib3.PoolManager(retries=urllib3.Retry(1, status_forcelist=[503])).request, "GET", f"{root}/status/503")
bodies = (b"x", "text", io.BytesIO(b"many"), iter([b"a", b"b"]))
for body in bodies:
    note(pools.request, "POST", root, body=body)
note(pools.request, "POST", root, fields={"a": "b"})
for method in ("BREW", "get", "Post", "QUERY"):
    note(pools.request, method, root)
note(pools.request, "GET", f"{root}/length/many")
mine = {"x-mine": "1"}
note(pools.request, "GET", root, headers=mine)
note(pools.request, "GET", root, headers=urllib3.HTTPHeaderDict(mine))
seen.append(sorted(mine))
note(pools.request, "GET", f"http://user:password@127.0.0.1:{port}/")
note(pools.request, "GET", f"http://LOCALHOST:{port}/")
note(pools.request, "GET", "http://127.0.0.1:1/")
pool = urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False)
note(pool.urlopen, "GET", "/")
note(pool.urlopen, "GET", root)
note(pool.urlopen, "GET", "")
note(pool.urlopen, method="GET", url="/named")
note(pool.urlopen, "POST", "/", b"body", {"a": "b"})
note(pool.urlopen, "POST", "/", b"body", {"a": "b"}, False)
note(pool.urlopen, "GET", "/", none=1)
note(pool.urlopen, "GET")
note(pool.urlopen)
note(pool.urlopen, "GET", "/", method="GET")
note(pool.urlopen, None, "/")
note(pool.urlopen, "GET", None)
note(urllib3.HTTPConnectionPool("127.0.0.1", None, retries=False).urlopen, "GET", "/status/500")
with suppress_instrumentation():
    note(pools.request, "GET", root)
with trace.get_tracer("test").start_as_current_span("outer") as outer:
    note(pools.request, "GET", root)
    with set_ip_on_next_http_connection(outer):
        note(urllib3.PoolManager(retries=False).request, "GET", root)
contrib.URLLib3Instrumentor().uninstrument()
note(pools.request, "GET", root)
seen.append(type(vars(HTTPConnectionPool)["urlopen"]).__name__)
print_recorded(port, instrument=contrib._instrument)
