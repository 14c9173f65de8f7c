"""Fixtures: a real OpenTelemetry Collector, services, and a function that runs programs that send to the Collector."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from .otelcol import BINARY, Collector
from .program import Program, stop
from .services import mariadb_port, redis_url

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # pytest passes the tests of all folders.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.installed)


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    if not BINARY.exists():
        pytest.skip("the OpenTelemetry Collector is not built: `make collector` builds it, and needs Go")
    for _ in range(3):
        collector = Collector(tmp_path_factory.mktemp("collector"))
        try:
            if collector.wait_until_ready():
                yield collector
                return
        finally:
            collector.stop()
    pytest.fail(f"the Collector did not start three times in a row:\n{collector.log()}")


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis server."""
    yield from redis_url(lambda: tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a MariaDB server with an empty database `shop`, whose user `shop` has the password `shop`."""
    yield from mariadb_port(lambda: tmp_path_factory.mktemp("mariadb"))


@pytest.fixture(scope="session")
def start_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Program]]:
    """`with start_program(*command, **environment) as program` runs the command, and stops it after the block."""

    @contextmanager
    def start(*command: str | Path, **environment: str) -> Iterator[Program]:
        output = tmp_path_factory.mktemp("program") / "output"
        program = Program(command, environment, output)
        try:
            yield program
        finally:
            stop(program.process)

    return start
