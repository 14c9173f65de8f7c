"""What ``opentelemetry-instrumentation-requests`` runs in each request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from opentelemetry.instrumentation import requests as contrib
from opentelemetry.instrumentation._semconv import _StabilityMode
from requests import Response, Session
from requests.structures import CaseInsensitiveDict

from otel_rs._imported import is_imported
from otel_rs._native import RequestsClient, exclusion
from otel_rs.instrument import _conventions
from otel_rs.instrument._originals import originals
from otel_rs.instrument.known_releases import are_known


def instrument(original: Any) -> Callable[..., None]:
    """`_instrument`: puts a `send` that makes a span into `Session`."""

    def _instrument(
        tracer: Any,
        duration_histogram_old: Any,
        duration_histogram_new: Any,
        request_hook: Any = None,
        response_hook: Any = None,
        excluded_urls: Any = None,
        sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT,
        captured_request_headers: list[str] | None = None,
        captured_response_headers: list[str] | None = None,
        sensitive_headers: list[str] | None = None,
    ) -> None:
        send = Session.send
        original(
            tracer,
            duration_histogram_old,
            duration_histogram_new,
            request_hook,
            response_hook,
            excluded_urls,
            sem_conv_opt_in_mode,
            captured_request_headers,
            captured_response_headers,
            sensitive_headers,
        )
        if callable(request_hook) or callable(response_hook) or captured_request_headers or captured_response_headers:
            return
        old, new = _conventions.reports(sem_conv_opt_in_mode)
        client = RequestsClient(
            SimpleNamespace(
                tracer=tracer,
                mode=sem_conv_opt_in_mode,
                old=old,
                new=new,
                replaceable=_replaceable,
                set_status_code=contrib._set_http_status_code_attribute,
                response=Response,
                headers=CaseInsensitiveDict if are_known("requests.structures") else None,
            ),
            [
                (histogram, in_milliseconds, keys)
                for histogram, in_milliseconds, keys in (
                    (duration_histogram_old, True, _conventions.CLIENT_DURATION_OLD),
                    (duration_histogram_new, False, _conventions.CLIENT_DURATION_NEW),
                )
                if histogram is not None
            ],
            send,
            Session.send,
        )
        is_excluded = exclusion(excluded_urls)

        @functools.wraps(send)
        def instrumented_send(self: Session, request: Any, **kwargs: Any) -> Any:
            if is_excluded and is_excluded(request.url):
                return send(self, request, **kwargs)
            return client.send(self, request, kwargs)

        instrumented_send.opentelemetry_instrumentation_requests_applied = True  # type: ignore[attr-defined]
        Session.send = instrumented_send  # type: ignore[method-assign]

    return _instrument


_replaceable = originals(contrib, "get_default_span_name", "redact_url")


is_imported(__name__)
