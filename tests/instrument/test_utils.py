"""Whether instrumentation is suppressed in the current context, as contrib's own functions say it."""

from __future__ import annotations

from collections import ChainMap

import pytest
from opentelemetry import context
from opentelemetry.instrumentation import utils

from otel_rs import _native

KEYS = (
    context._SUPPRESS_INSTRUMENTATION_KEY,
    context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    utils._SUPPRESS_INSTRUMENTATION_KEY_PLAIN,
    "another",
)


# The keys have a random part, so that they are no names for tests.
@pytest.mark.parametrize("value", [True, False, None, 1, "", "yes"])
@pytest.mark.parametrize("key", range(len(KEYS)))
def test_as_contribs_functions(key: int, value: object) -> None:
    token = context.attach(context.set_value(KEYS[key], value))
    try:
        assert _native.is_instrumentation_enabled() == utils.is_instrumentation_enabled()
        assert _native.is_http_instrumentation_enabled() == utils.is_http_instrumentation_enabled()
    finally:
        context.detach(token)


@pytest.mark.parametrize("entries", [{}, {KEYS[0]: True}], ids=["nothing", "suppressed"])
def test_a_context_may_be_any_mapping(entries: dict[str, object]) -> None:
    token = context.attach(ChainMap(entries))  # type: ignore[arg-type]
    try:
        assert _native.is_instrumentation_enabled() == (not entries)
        assert _native.is_http_instrumentation_enabled() == (not entries)
    finally:
        context.detach(token)
