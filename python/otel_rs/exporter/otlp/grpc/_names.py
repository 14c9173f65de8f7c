"""gRPC's names of servers, as https://github.com/grpc/grpc/blob/master/doc/naming.md has them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

RESOLVERS = ("dns", "ipv4", "ipv6", "passthrough")
"""What may stand before a name, with and without slashes after it. Here all of them mean the system's resolver."""

TRANSPORTS = ("http", "https", "grpc", "grpcs", "tcp")

# With TLS and without.
_DEFAULT_PORT = 443


class ServerName(NamedTuple):
    scheme: str
    """In lower case; "" if there is none."""
    authority: str
    """Host and port, or several with commas between them."""
    path: str


def parse(endpoint: str) -> ServerName | None:
    """None for what names no server, as a name server to ask: the native part says why."""
    scheme, colon, rest = endpoint.partition(":")
    scheme = scheme.lower()
    if "://" not in endpoint:
        # A host may be called "dns", too.
        if colon and scheme in RESOLVERS and not rest.isdecimal():
            return _of_resolver(scheme, rest)
        scheme, rest = "", f"//{endpoint}"
    try:
        parts = urlsplit(rest)
    except ValueError:
        return None
    if not parts.netloc:
        return _of_resolver(scheme, rest) if scheme in RESOLVERS else None
    if scheme in RESOLVERS and parts.path.rstrip("/"):
        return None
    return ServerName(scheme, _with_ports(parts.netloc), parts.path)


def _of_resolver(scheme: str, rest: str) -> ServerName:
    name = unquote(re.split(r"[?#]", rest, maxsplit=1)[0].lstrip("/"))
    authority, slash, path = name.partition("/")
    return ServerName(scheme, _with_ports(authority), slash + path)


def _with_ports(authority: str) -> str:
    return ",".join(map(_with_port, authority.split(",")))


def _with_port(server: str) -> str:
    return server if re.search(r":\d+$", server) else f"{server.removesuffix(':')}:{_DEFAULT_PORT}"
