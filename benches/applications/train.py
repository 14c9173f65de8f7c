"""Does what programs do most, for a build that counts how often each branch is taken (`make pgo`).

    python benches/applications/train.py FOLDER

The counts are written to FOLDER. Prints the seconds that each part took.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))
import log
import measure
import propagate
import record
from child import APPLICATIONS, Child, environment
from prices import Prices
from received import Received
from receiver import Receiver
from variants import SIGNALS, Variant

HERE = Path(__file__).parents[1]
COUNTS = "LLVM_PROFILE_FILE"
REQUESTS = 1_500
ITEMS = 4_096
# At what services sample, over both protocols; gRPC is the default.
VARIANTS = tuple(
    Variant("otel-rs", SIGNALS, ratio, protocol) for protocol in ("grpc", "http") for ratio in (1, 0.01, 0)
)


def serve(application: str, variant: Variant, counts: dict[str, str]) -> None:
    with ExitStack() as stack:
        received = stack.enter_context(Received())
        prices = stack.enter_context(Prices())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        variables = {**environment(application), **counts, **prices.environment}
        variables |= variant.environment(received.endpoints())
        with Child(variant, application, variables, folder / "log") as child:
            child.do(REQUESTS)
            child.flush()
            child.collect()
            child.end()
        received.check(application, {variant: REQUESTS})


def scripts(endpoint: str) -> Iterator[list[str]]:
    for row in measure.ROWS:
        yield ["measure.py", "--row", row, "--cpu", "--spans", str(ITEMS), "--endpoint", endpoint]
    for row in record.ROWS:
        yield ["record.py", "--row", row, "--count", str(ITEMS), "--endpoint", endpoint]
    for row in log.ROWS:
        yield ["log.py", "--row", row, "--cpu", "--records", str(ITEMS), "--endpoint", endpoint]
    for row in propagate.ROWS:
        yield ["propagate.py", "--row", row, "--calls", str(ITEMS)]


def main() -> None:
    counts = {COUNTS: str(Path(sys.argv[1]).absolute() / "%m.profraw")}
    # The receiver does much more than what sends to it, and nobody waits for it.
    os.environ[COUNTS] = os.devnull
    for application in APPLICATIONS:
        begin = time.monotonic()
        for variant in VARIANTS:
            serve(application, variant, counts)
        print(f"{application}: {time.monotonic() - begin:.1f} s", flush=True)
    begin = time.monotonic()
    with Receiver() as receiver:
        for script, *arguments in scripts(receiver.endpoint("grpc")):
            command = [sys.executable, HERE / script, "--sdk", "otel-rs", *arguments]
            subprocess.run(command, check=True, env={**os.environ, **counts}, stdout=subprocess.DEVNULL)
    print(f"spans, measurements, records and headers: {time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
