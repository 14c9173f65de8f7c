"""Services that programs of the tests need, each on a free port and with a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .program import free_port, stop, wait_until


def redis_url(folder: Callable[[], Path]) -> Iterator[str]:
    """The address of a Redis server."""
    binary = required("redis-server")

    def command(port: int, folder: Path) -> list[Any]:
        return [binary, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", ""]

    for port in running("Redis", command, folder, lambda port: greeting(port, b"PING\r\n").startswith(b"+PONG")):
        yield f"redis://127.0.0.1:{port}/0"


def mariadb_port(folder: Callable[[], Path]) -> Iterator[int]:
    """The port of a MariaDB server with an empty database `shop`, whose user `shop` has the password `shop`."""
    # It greets whoever connects, with its version.
    yield from running("MariaDB", mariadb_command, folder, lambda port: b"MariaDB" in greeting(port))


def mariadb_command(port: int, folder: Path) -> list[Any]:
    """Makes the server's database, and returns what starts the server."""
    server, install = required("mariadbd"), required("mariadb-install-db")
    data = folder / "data"
    options = ["--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal"]
    # A server that starts removes the temporary tables of others from its temporary folder.
    temporary = {**os.environ, "TMPDIR": str(folder)}
    installed = subprocess.run(
        [install, *options], env=temporary, capture_output=True, text=True, timeout=60, check=False
    )
    assert installed.returncode == 0, f"{installed.stdout}\n{installed.stderr}"
    users = folder / "users.sql"
    users.write_text(  # a statement a line
        "CREATE DATABASE shop;\n"
        "CREATE USER shop@'127.0.0.1' IDENTIFIED BY 'shop';\n"
        "GRANT ALL ON shop.* TO shop@'127.0.0.1';\n"
    )
    # The socket's path would be too long in pytest's folder, and its directory is relative to the data.
    options = ["--bind-address=127.0.0.1", f"--port={port}", "--socket=socket", f"--init-file={users}"]
    options.append(f"--tmpdir={folder}")
    # MariaDB does not run as root unless it is told to.
    return [server, "--no-defaults", "--user=root", f"--datadir={data}", "--skip-name-resolve", *options]


@contextmanager
def postgresql() -> Iterator[tuple[str, int]]:
    """A PostgreSQL server with a user `shop` who needs no password: the folder of its socket, and its port."""
    # Debian has them in a folder for each version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    install = str(versions[-1]) if versions else required("initdb")
    server = Path(install).with_name("postgres")
    # It does not run as root. pytest's folders are root's alone then, and too deep for a socket.
    other_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    folders: list[Path] = []

    def new_folder() -> Path:
        folders.append(folder := Path(tempfile.mkdtemp(prefix="postgresql-")))
        if other_user:
            shutil.chown(folder, "postgres", "postgres")
        return folder

    def command(port: int, folder: Path) -> list[Any]:
        data = folder / "data"
        options = ["--pgdata", data, "--username=shop", "--auth=trust", "--no-sync", "--locale=C"]
        subprocess.run([*other_user, install, *options], check=True, capture_output=True, timeout=60)
        return [*other_user, server, "-D", data, "-p", port, "-k", folder, "-h", "127.0.0.1", "-F"]

    # It asks for a password or says what is wrong if somebody begins to speak.
    hello = b"\0\0\0\x13\0\3\0\0user\0shop\0\0"
    try:
        for port in running("PostgreSQL", command, new_folder, lambda port: greeting(port, hello).startswith(b"R")):
            yield str(folders[-1]), port
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def required(program: str) -> str:
    """The path of the program; skips the test without it."""
    path = shutil.which(program, path=None) or shutil.which(program, path="/usr/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def running(
    name: str,
    command: Callable[[int, Path], list[Any]],
    new_folder: Callable[[], Path],
    ready: Callable[[int], bool],
) -> Iterator[int]:
    """Starts the command that `command` returns for a port and a folder; yields the port once it is ready."""
    for _ in range(3):  # another process may take the port
        port, folder = free_port(), new_folder()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([str(part) for part in command(port, folder)], stdout=log, stderr=log)
        try:
            wait_until(
                lambda process=process, port=port: process.poll() is not None or ready(port),
                lambda log=folder / "log": f"{name} does not answer:\n{log.read_text()}",
            )
            if process.poll() is None:
                yield port
                return
        finally:
            stop(process)
    pytest.fail(f"{name} did not start three times in a row:\n{(folder / 'log').read_text()}")


def greeting(port: int, sent: bytes = b"") -> bytes:
    """What the server says after `sent`; nothing if it does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(sent)
            return connection.recv(128)
    except OSError:
        return b""
