"""Compare otel-rs with the stock SDK and with its peers, in one run (`make bench-peers`; see docs/benchmarks.md).

    python benches/peers/run.py [--rounds N] [--save FILE]

Each peer has an environment of its own in .cache/peers, which is made at the first run; opentelemetry_sdk from Rust is
a program that is built there. All do the same work: an HTTP span with ten attributes, over OTLP/HTTP. What arrives is
looked at: a peer whose spans lack something is shown as such, and one that loses a span stops the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))
import machine
from receiver import Receiver

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "peers"
PORTIONS = 20
ATTRIBUTES, SERVER = 10, 2
OURS = ("opentelemetry-sdk", "otel-rs")
# Pinned: each is a project in its first releases.
PACKAGES = {"fastotel": "0.9.1", "honeycomb-pycpp": "0.1.15", "pytracingx": "0.3.0"}
RUST = "opentelemetry_sdk from Rust"
REMARKS = {
    "fastotel": "its spans are the stock SDK's",
    "honeycomb-pycpp": "opentelemetry-cpp in Python",
    "pytracingx": "an interface of its own, not opentelemetry-api",
    RUST: "no Python at all",
}


class AttributeCounter(Receiver):
    """It keeps a span of the last request, too."""

    span: dict[str, Any]

    def take(self, line: bytes) -> int:
        resource = json.loads(line)["resourceSpans"][-1]
        self.span = resource["scopeSpans"][-1]["spans"][-1]
        return super().take(line)


def environment_of(peer: str) -> Path:
    """The interpreter of an environment with the peer, the API and the stock SDK."""
    folder = CACHE / f"{peer}-{PACKAGES[peer]}-{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, f"{peer}=={PACKAGES[peer]}", "opentelemetry-sdk"], check=True)
        (folder / "ready").touch()
    return interpreter


def commands(peer: str) -> list[Any]:
    """What makes the peer's spans; the endpoint and the number of portions come after it."""
    if peer == RUST:
        variables = {**os.environ, "CARGO_TARGET_DIR": str(CACHE / "rust")}
        manifest = HERE / "rust_sdk" / "Cargo.toml"
        build = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", manifest]
        subprocess.run(build, env=variables, check=True)
        return [CACHE / "rust" / "release" / "rust-sdk"]
    interpreter = sys.executable if peer in OURS else environment_of(peer)
    return [interpreter, HERE / "program.py", "--peer", peer]


def run(receiver: AttributeCounter, peer: str, command: list[Any], portions: int) -> dict[str, Any]:
    endpoint = receiver.endpoint("http").removesuffix("/v1/traces")
    arguments = [endpoint, str(portions)] if peer == RUST else ["--endpoint", endpoint, "--portions", str(portions)]
    left_out = ("OTEL_", "PYTHONPATH")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    # pytracingx prints the log lines of the libraries in it.
    variables |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "RUST_LOG": "off"}
    finished = subprocess.run([*command, *arguments], env=variables, stdout=subprocess.PIPE, text=True, timeout=300)
    if finished.returncode:
        raise SystemExit(f"{peer} ended with {finished.returncode}")
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    receiver.expect(result["spans"], peer)
    return result


def sample(receiver: AttributeCounter, peer: str, command: list[Any]) -> dict[str, float]:
    """Nanoseconds a span: of the thread that makes it, and of the whole process."""
    full, empty = (run(receiver, peer, command, portions) for portions in (PORTIONS, 0))
    return {"app": statistics.median(full["app"]), "cpu": (full["cpu"] - empty["cpu"]) / (PORTIONS * 512)}


def lacks(span: dict[str, Any]) -> list[str]:
    """What a span should have, and has not."""
    found = {each["key"] for each in span.get("attributes", ())}
    missing = [name for name in ("http.route", "http.status_code", "http.user_agent") if name not in found]
    if not missing and len(found) < ATTRIBUTES:
        missing.append(f"{ATTRIBUTES - len(found)} attributes")
    return missing + ([] if span.get("kind") == SERVER else ["its kind"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare otel-rs with the stock SDK and with its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the header and all samples as JSON")
    arguments = parser.parse_args()

    about = machine.header()
    print(machine.line(about), flush=True)
    made = {peer: commands(peer) for peer in (*OURS, *PACKAGES, RUST)}
    samples: dict[str, list[dict[str, float]]] = {peer: [] for peer in made}
    lacking = {}
    begin = time.monotonic()
    with AttributeCounter() as receiver:
        for number in range(arguments.rounds):
            for peer, command in made.items() if number % 2 == 0 else reversed(made.items()):
                samples[peer].append(sample(receiver, peer, command))
                lacking[peer] = lacks(receiver.span)

    print(
        "\n| HTTP span, OTLP/HTTP | app thread | all CPU until it is received | of otel-rs's | |\n|---|---|---|---|---|"
    )
    medians = {
        peer: {name: statistics.median(each[name] for each in rounds) for name in ("app", "cpu")}
        for peer, rounds in samples.items()
    }
    for peer, median in medians.items():
        version = f" {PACKAGES[peer]}" if peer in PACKAGES else ""
        remark = f"lacks {', '.join(lacking[peer])}" if lacking[peer] else REMARKS.get(peer, "")
        app, cpu = (median[name] / 1e3 for name in ("app", "cpu"))
        ratio = median["cpu"] / medians["otel-rs"]["cpu"]
        print(f"| {peer}{version} | {app:.2f} us | {cpu:.2f} us | {ratio:.2f}x | {remark} |")
    print("| ddtrace | | | | cannot: it sends traces to its own agent, not by OTLP |")
    print(f"\nMedians of {arguments.rounds} rounds, {time.monotonic() - begin:.0f} s in all.")

    if arguments.save:
        data = {**about, "rounds": arguments.rounds, "peers": PACKAGES, "lacks": lacking, "nanoseconds": samples}
        arguments.save.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
