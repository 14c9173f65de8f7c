"""What ``opentelemetry-instrumentation-flask`` runs in each request."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import flask
from opentelemetry.instrumentation import flask as contrib
from opentelemetry.instrumentation import propagators, wsgi
from opentelemetry.instrumentation._semconv import _StabilityMode

from otel_rs._imported import is_imported
from otel_rs._native import FlaskApplication, FlaskBeforeRequest, FlaskModule, FlaskTeardown, exclusion
from otel_rs.instrument._originals import originals
from otel_rs.instrument._wsgi import CONVENTIONS

_framework = f"flask:{contrib.flask_version}"


def _comment(request: Any, rule: str | None, options: Any) -> dict[str, str]:
    """What a comment in SQL statements says of the request."""
    comment = {}
    if options.get("framework", True):
        comment["framework"] = _framework
    if options.get("controller", True) and (endpoint := request.endpoint):
        comment["controller"] = endpoint
    if options.get("route", True) and rule:
        comment["route"] = rule
    return comment


def _warn_of_missing_span(status: Any) -> None:
    contrib._logger.warning("Flask environ's OpenTelemetry span missing at _start_response(%s)", status)


def _log_error(error: Exception) -> None:
    contrib._logger.debug("Error during request teardown: %s", error, exc_info=error)


def _request_variable() -> ContextVar[Any] | None:
    """The context variable that `flask.request` and `flask.has_request_context` look into; None if it is another."""
    variable = vars(flask.globals).get("_cv_request")
    # Werkzeug before 2.2 has neither.
    if type(variable) is not ContextVar:
        return None
    looked_into = object.__getattribute__(flask.request, "_LocalProxy__wrapped")
    return variable if looked_into is variable else None


_module = FlaskModule(
    SimpleNamespace(
        flask=vars(flask),
        contrib=vars(contrib),
        wsgi=vars(wsgi),
        propagators=vars(propagators),
        request=flask.request,
        has_request_context=flask.has_request_context,
        variable=_request_variable(),
        default_span_name=originals(contrib, "get_default_span_name"),
        start_time=contrib._ENVIRON_STARTTIME_KEY,
        span=contrib._ENVIRON_SPAN_KEY,
        activation=contrib._ENVIRON_ACTIVATION_KEY,
        request_context=contrib._ENVIRON_REQCTX_REF_KEY,
        token=contrib._ENVIRON_TOKEN,
        framework=_framework,
        comment=_comment,
        warn_of_missing_span=_warn_of_missing_span,
        log_error=_log_error,
    )
)


def wsgi_app(_original: Any) -> Callable[..., FlaskApplication]:
    """`_rewrapped_app`: the application, measured."""

    def _rewrapped_app(
        wsgi_app: Any,
        active_requests_counter: Any,
        duration_histogram_old: Any = None,
        response_hook: Any = None,
        excluded_urls: Any = None,
        sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT,
        duration_histogram_new: Any = None,
    ) -> FlaskApplication:
        return FlaskApplication(
            wsgi_app,
            _module,
            CONVENTIONS[id(sem_conv_opt_in_mode)],
            active_requests_counter,
            duration_histogram_old,
            duration_histogram_new,
            response_hook,
            exclusion(excluded_urls),
        )

    return _rewrapped_app


# What Flask calls before and after requests are functions: any other object takes it longer to know as no coroutine's.


def before_request(_original: Any) -> Callable[..., Callable[[], None]]:
    """`_wrapped_before_request`: starts the span of a request."""

    def _wrapped_before_request(
        request_hook: Any = None,
        tracer: Any = None,
        excluded_urls: Any = None,
        enable_commenter: bool = True,
        commenter_options: Any = None,
        sem_conv_opt_in_mode: Any = _StabilityMode.DEFAULT,
    ) -> Callable[[], None]:
        start_span = FlaskBeforeRequest(
            _module,
            CONVENTIONS[id(sem_conv_opt_in_mode)],
            tracer,
            request_hook or None,
            exclusion(excluded_urls),
            commenter_options if enable_commenter else None,
        )

        def _before_request() -> None:
            start_span()

        return _before_request

    return _wrapped_before_request


def teardown_request(original: Any) -> Callable[..., Callable[[Any], None]]:
    """`_wrapped_teardown_request`: ends the span of a request."""

    def _wrapped_teardown_request(excluded_urls: Any = None) -> Callable[[Any], None]:
        end_span = FlaskTeardown(_module, original(excluded_urls), exclusion(excluded_urls))

        def _teardown_request(exception: Any) -> None:
            end_span(exception)

        return _teardown_request

    return _wrapped_teardown_request


is_imported(__name__)
