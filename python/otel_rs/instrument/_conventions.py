"""Semantic conventions: which names of attributes a program asked for, and which of them metrics have."""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation import _semconv
from opentelemetry.instrumentation._semconv import (
    _report_new,
    _report_old,
    _set_db_name,
    _set_db_operation,
    _set_db_statement,
    _set_db_system,
    _StabilityMode,
)

SERVER_DURATION_OLD = frozenset(_semconv._server_duration_attrs_old)
SERVER_DURATION_NEW = frozenset(_semconv._server_duration_attrs_new)
CLIENT_DURATION_OLD = frozenset(_semconv._client_duration_attrs_old)
CLIENT_DURATION_NEW = frozenset(_semconv._client_duration_attrs_new)
ACTIVE_OLD = frozenset(_semconv._server_active_requests_count_attrs_old)
ACTIVE_NEW = frozenset(_semconv._server_active_requests_count_attrs_new)


def reports(mode: Any) -> tuple[bool, bool]:
    """Whether the old names are reported, and whether the new ones."""
    return _report_old(mode), _report_new(mode)


def counted(mode: Any) -> list[frozenset[str]]:
    """The keys that the requests under way are counted by: the old ones before the new ones."""
    old, new = reports(mode)
    return [keys for keys, is_reported in ((ACTIVE_OLD, old), (ACTIVE_NEW, new)) if is_reported]


def _keys(setter: Any, mode: Any) -> list[str]:
    attributes: dict[str, str] = {}
    setter(attributes, "any", mode)
    return list(attributes)


class Database:
    """The names of a statement's attributes in a mode."""

    def __init__(self, mode: Any) -> None:
        self.new: bool = _report_new(mode)
        self.system: list[str] = _keys(_set_db_system, mode)
        self.name: list[str] = _keys(_set_db_name, mode)
        self.statement: list[str] = _keys(_set_db_statement, mode)
        self.operation: list[str] = _keys(_set_db_operation, mode)


# By identity: to hash a member of an enumeration is a call of Python.
DATABASES = {id(mode): Database(mode) for mode in _StabilityMode}
