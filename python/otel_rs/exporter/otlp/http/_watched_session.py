"""Tells when a `requests` session is changed whose attributes were read.

A program renews a token by ``session.headers[...] = ...`` or ``session.auth = ...``, on an object that it has kept.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

Changed = Callable[[], None]

# Each maps to what is called; a weak reference, so that a session does not keep its exporters.
_watchers: weakref.WeakKeyDictionary[requests.Session, list[weakref.WeakMethod[Changed]]] = weakref.WeakKeyDictionary()


def watch(session: requests.Session, changed: weakref.WeakMethod[Changed]) -> None:
    """``changed`` is called whenever an attribute of the session, a header or a proxy has another value."""
    _watchers.setdefault(session, []).append(changed)
    if type(session) is requests.Session:
        session.__class__ = WatchedSession
    _watch_mappings(session)


def _watch_mappings(session: requests.Session) -> None:
    for name in ("headers", "proxies"):
        mapping = getattr(session, name)
        if type(mapping) in _WATCHED:
            watched = _WATCHED[type(mapping)](mapping)
            watched.session = weakref.ref(session)
            # Not by the class's own `__setattr__`: nothing has changed.
            object.__setattr__(session, name, watched)


def _tell(session: requests.Session | None) -> None:
    for watcher in list(_watchers.get(session, ())) if session is not None else ():
        if (changed := watcher()) is not None:
            changed()


class WatchedSession(requests.Session):
    """A session that was of ``requests.Session`` itself. A copy is that again."""

    def __setattr__(self, name: str, value: Any) -> None:
        before = getattr(self, name, None)
        super().__setattr__(name, value)
        if before is not value and before != value:
            _watch_mappings(self)
            _tell(self)

    def mount(self, prefix: Any, adapter: Any) -> None:
        super().mount(prefix, adapter)
        _tell(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = {name: getattr(self, name) for name in self.__attrs__}
        plain = {"headers": CaseInsensitiveDict(self.headers), "proxies": dict(self.proxies)}
        return requests.Session, (), {**state, **plain}


def _watched(base: type[Any]) -> type[Any]:
    """A mapping of that class which tells its session."""
    names = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
    methods = {name: _telling(base, getattr(base, name)) for name in names if hasattr(base, name)}
    return type(f"Watched{base.__name__}", (base,), {"session": staticmethod(lambda: None), **methods})


def _telling(base: type[Any], method: Any) -> Any:
    def telling(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = base.copy(self)
        result = method(self, *args, **kwargs)
        if before != self:
            _tell(self.session())
        return result

    return telling


_WATCHED = {base: _watched(base) for base in (dict, CaseInsensitiveDict)}
