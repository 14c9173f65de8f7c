"""Credentials that an entry point makes, which a variable names."""

from __future__ import annotations

from typing import Any

from otel_rs.exporter.otlp._config import BeyondNative
from otel_rs.settings.reading import Found, read
from otel_rs.settings.table import Setting, Signal

_GROUP = "opentelemetry_otlp_credential_provider"


def provider_of(setting: Setting, signal: Signal) -> Found | None:
    """The name of the provider that variables ask for."""
    found = read(setting, signal)
    return found if found.value else None


def beyond_native(provider: Found) -> BeyondNative:
    return BeyondNative(
        f"{provider.source} asks for the credentials of {provider.value!r}", provider.source, provider.text
    )


def load_credentials(provider: Found, expected: type[Any]) -> Any:
    """What the provider makes. Raises LookupError and TypeError, and what the provider raises."""
    # Slow to import, and needed by few.
    from opentelemetry.util._importlib_metadata import entry_points

    names = {entry_point.name: entry_point for entry_point in entry_points(group=_GROUP)}
    if provider.value not in names:
        raise LookupError(f"no entry point of the group {_GROUP} has the name {provider.value!r}")
    credentials = names[provider.value].load()()
    if not isinstance(credentials, expected):
        raise TypeError(f"{provider.value!r} makes a {type(credentials).__qualname__}, not a {expected.__qualname__}")
    return credentials
