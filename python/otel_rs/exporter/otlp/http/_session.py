"""What a ``requests`` session adds to requests, as far as it can be told.

requests is not imported: whoever has a session has imported it.
"""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

# Headers that the native client cannot send for a session: they describe the connection or the message.
_NOT_SENT = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What `requests` sets up a pool of connections with.
_POOL_OPTIONS = frozenset({"block", "maxsize", "strict"})


class UnreadableError(Exception):
    """The session does something that cannot be told from its attributes. The text says what, without secrets."""


class SessionSettings(NamedTuple):
    """What counts where the exporter has no such setting of its own; but credentials go before all."""

    headers: dict[str, bytes]
    credentials: dict[str, bytes]
    """The header that ``auth`` makes."""
    certificate_file: str | None
    client_certificate_file: str | None
    client_key_file: str | None
    proxy: str | None
    """Its address; "" for none; None for the environment's."""


def read_session(session: Any, url: str, own_headers: Collection[str]) -> SessionSettings:
    """What the session adds to requests to ``url`` that have ``own_headers``. Raises UnreadableError."""
    requests = sys.modules.get("requests")
    watched = sys.modules.get("otel_rs.exporter.otlp.http._watched_session")
    if requests is None or type(session) not in (requests.Session, watched and watched.WatchedSession):
        cls = type(session)
        raise UnreadableError(f"the session is of the class {cls.__module__}.{cls.__qualname__}")
    if vars(session).keys() - set(session.__attrs__):
        raise UnreadableError("the session has attributes of its own")
    for name in ("cookies", "params"):
        if getattr(session, name):
            raise UnreadableError(f"the session has {name}")
    if any(session.hooks.values()):
        raise UnreadableError("the session has hooks")
    _check_adapters(requests, session)
    # As for every request: proxies, certificates to trust and the client's, with those of the environment.
    merged = session.merge_environment_settings(url, {}, None, None, None)
    certificate, key = _client_certificate(merged["cert"])
    return SessionSettings(
        headers=_headers(requests, session, own_headers),
        credentials=_credentials(requests, session, url),
        certificate_file=_certificates(merged["verify"]),
        client_certificate_file=certificate,
        client_key_file=key,
        proxy=_proxy(requests, url, merged["proxies"]),
    )


def _check_adapters(requests: Any, session: Any) -> None:
    if session.adapters.keys() != {"http://", "https://"}:
        raise UnreadableError("the session has an adapter for some addresses")
    for adapter in session.adapters.values():
        own = type(adapter) is requests.adapters.HTTPAdapter and "send" not in vars(adapter)
        if not own or adapter.poolmanager.connection_pool_kw.keys() - _POOL_OPTIONS:
            raise UnreadableError("the session has an adapter that is not requests' own")
        if adapter.max_retries.total:
            raise UnreadableError("the session has an adapter that retries")


def _proxy(requests: Any, url: str, proxies: Mapping[str, str]) -> str | None:
    proxy: str = requests.utils.select_proxy(url, proxies) or ""
    if proxy == (requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) or ""):
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme not in ("http", "https"):
        raise UnreadableError(f"the session's proxy is of the kind {scheme}")
    return proxy


def _certificates(verify: object) -> str | None:
    # False has no effect on the stock exporter either, which sets it to True.
    return os.fsdecode(verify) if isinstance(verify, (str, os.PathLike)) else None


def _client_certificate(cert: Any) -> tuple[str | None, str | None]:
    if cert is None:
        return None, None
    certificate, key = (cert, None) if isinstance(cert, (str, os.PathLike)) else cert
    return os.fsdecode(certificate), None if key is None else os.fsdecode(key)


def _headers(requests: Any, session: Any, own: Collection[str]) -> dict[str, bytes]:
    defaults = requests.utils.default_headers()
    headers = {}
    for name, value in session.headers.items():
        name = (name.decode("latin-1") if isinstance(name, bytes) else name).lower()
        if name in own or value is None or value == defaults.get(name):
            continue
        if name in _NOT_SENT:
            raise UnreadableError(f"the session sends the header {name}")
        try:
            headers[name] = _bytes(value)
        except UnicodeEncodeError:
            raise UnreadableError(f"the header {name} of the session has other characters than latin-1") from None
    return headers


def _credentials(requests: Any, session: Any, url: str) -> dict[str, bytes]:
    auth = session.auth
    if not auth:
        auth = requests.utils.get_netrc_auth(url) if session.trust_env else None
    elif type(auth) is requests.auth.HTTPBasicAuth:
        auth = (auth.username, auth.password)
    if not auth:
        return {}
    if not (
        isinstance(auth, (tuple, list)) and len(auth) == 2 and all(isinstance(part, (str, bytes)) for part in auth)
    ):
        raise UnreadableError(f"the session's auth is of the class {type(auth).__qualname__}")
    try:
        name, password = map(_bytes, auth)
    except UnicodeEncodeError:
        raise UnreadableError("the session's auth has other characters than latin-1") from None
    return {"authorization": b"Basic " + b64encode(name + b":" + password)}


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
