"""``span.__dict__``: what upstream's spans keep there, for code that reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

_NAMES = (
    *("_name", "_context", "_kind", "_instrumentation_info", "_instrumentation_scope", "_parent"),
    *("_start_time", "_end_time", "_attributes", "_events", "_links", "_resource", "_status"),
    *("_sampler", "_trace_config", "_record_exception", "_set_status_on_exception", "_span_processor", "_limits"),
    *("_lock", "_record_end_metrics"),
)

# The dict that Python keeps for every object of such a class.
_own_dict = ReadableSpan.__dict__["__dict__"].__get__


def own_dict(span: Any) -> dict[str, Any]:
    """What the program, or Python code of ours, has set on the span and native code does not have."""
    attributes: dict[str, Any] = _own_dict(span)
    return attributes


class SpanDict(MutableMapping[str, Any]):
    """Upstream's names, each read from the span and written to it, and after them what else was set on it."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def __getitem__(self, name: str) -> Any:
        return getattr(self._span, name) if name in _NAMES else own_dict(self._span)[name]

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._span, name, value)

    def __delitem__(self, name: str) -> None:
        if name in _NAMES:
            delattr(self._span, name)
        else:
            del own_dict(self._span)[name]

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES
        yield from (name for name in own_dict(self._span) if name not in _NAMES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
