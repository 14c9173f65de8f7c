"""Services that pages take for granted, at their usual ports in the terminals' network."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..integration.services import mariadb_command, required
from .terminals import Terminals


def start(name: str, terminals: Terminals, folder: Path) -> None:
    here = folder / name
    here.mkdir()
    terminals.run({"mariadb": _mariadb, "redis": _redis}[name](here)).is_service = True


def _redis(here: Path) -> str:
    return shlex.join([required("redis-server"), "--bind", "127.0.0.1", "--dir", str(here), "--save", ""])


def _mariadb(here: Path) -> str:
    # What Debian's own server lets its users do by its socket.
    settings = here.parent / "home" / ".my.cnf"
    settings.write_text("[client]\nhost=127.0.0.1\nuser=shop\npassword=shop\n")
    return shlex.join(str(word) for word in mariadb_command(3306, here))
