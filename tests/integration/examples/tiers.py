"""The Collector with the configuration files of examples/collector, on free ports, killed and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..otelcol import BINARY
from ..program import stop, wait_until
from .running import EXAMPLES

FOLDER = EXAMPLES / "collector"
AGENT = ("agent.yaml",)
PERSISTENT_AGENT = ("agent.yaml", "agent-persistent.yaml")
GATEWAY = ("gateway.yaml",)


def lasting_port() -> int:
    """A free port that stays free while its server is down: it is not among those that the system hands out."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("of a hundred ports none was free")


class Tier:
    """A Collector of the example: an agent or a gateway."""

    def __init__(self, folder: Path, configuration: tuple[str, ...], sends_to: int, **settings: str) -> None:
        self.ports = {"grpc": lasting_port(), "http/protobuf": lasting_port()}
        self._health = lasting_port()
        name = "AGENT" if configuration[0] == "agent.yaml" else "GATEWAY"
        self._log = folder / f"{name.lower()}-{self._health}.log"
        self._command = [str(BINARY), *(f"--config={FOLDER / file}" for file in configuration)]
        self._environment = {
            **os.environ,
            f"{name}_GRPC": f"127.0.0.1:{self.ports['grpc']}",
            f"{name}_HTTP": f"127.0.0.1:{self.ports['http/protobuf']}",
            f"{name}_HEALTH": f"127.0.0.1:{self._health}",
            "AGENT_SENDS_TO": f"127.0.0.1:{sends_to}",
            "VENDOR_ENDPOINT": f"127.0.0.1:{sends_to}",
            "VENDOR_INSECURE": "true",
            "AGENT_STORAGE": str(folder / f"storage-{self._health}"),
            "AGENT_RETRY": "200ms",
            "AGENT_RETRY_MAX": "500ms",
            "GATEWAY_RETRY": "200ms",
            "GATEWAY_WAITS": "300ms",
            **settings,
        }
        self.start()

    def start(self, **settings: str) -> None:
        """Starts it, also again, at the same ports."""
        self._environment |= settings
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        wait_until(lambda: self._process.poll() is not None or self._healthy(), self.log)
        assert self._process.poll() is None, self.log()

    def _healthy(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return bool(direct.open(f"http://127.0.0.1:{self._health}", timeout=1).status == 200)
        except OSError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends the signal and waits for the end."""
        self._process.send_signal(number)
        self._process.wait(timeout=30)

    def stop(self) -> None:
        stop(self._process)

    def endpoint(self, protocol: str) -> str:
        return f"http://127.0.0.1:{self.ports[protocol]}"

    def log(self) -> str:
        return self._log.read_text()


class Tiers:
    """Starts tiers, and stops them at the end."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack

    def __call__(self, configuration: tuple[str, ...], sends_to: Any, **settings: str) -> Tier:
        """`sends_to`: a Tier, or the Collector that receives what leaves the last tier."""
        tier = Tier(self._folder, configuration, sends_to.ports["grpc"], **settings)
        self._stack.callback(tier.stop)
        return tier


@contextmanager
def tiers_in(folder: Path) -> Iterator[Tiers]:
    with ExitStack() as stack:
        yield Tiers(folder, stack)
