"""The variants of a program: who records its telemetry, which signals, how many of the traces, over which protocol."""

from collections.abc import Iterator
from dataclasses import dataclass

SIGNALS = ("traces", "metrics", "logs")
DISTROS = {"stock": ("distro", "configurator"), "otel-rs": ("rs", "rs")}


@dataclass(frozen=True)
class Variant:
    sdk: str
    """`none` is the program without instrumentations, `api` with instrumentations, the SDK disabled."""
    signals: tuple[str, ...] = ()
    ratio: float = 1
    """The part of the traces that is sampled."""
    protocol: str = "grpc"

    @property
    def recording(self) -> bool:
        return self.sdk in DISTROS

    @property
    def what(self) -> str:
        """What is recorded, whoever records it."""
        if not self.recording:
            return ""
        signals = "all signals" if self.signals == SIGNALS else " and ".join(self.signals)
        sampled = "" if self.ratio == 1 else f", {self.ratio:.0%} sampled"
        return f"{signals}{sampled}, {'gRPC' if self.protocol == 'grpc' else 'HTTP'}"

    @property
    def name(self) -> str:
        return f"{self.sdk}: {self.what}" if self.recording else self.sdk

    def environment(self, endpoints: dict[str, str]) -> dict[str, str]:
        """The variables of `opentelemetry-instrument`, with the receiver's endpoint for each protocol."""
        if self.sdk == "none":
            return {}
        distro, configurator = DISTROS[self.sdk if self.recording else "stock"]
        variables = {"OTEL_PYTHON_DISTRO": distro, "OTEL_PYTHON_CONFIGURATOR": configurator}
        if self.recording:
            variables |= {
                "OTEL_SERVICE_NAME": self.name,
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoints[self.protocol],
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc" if self.protocol == "grpc" else "http/protobuf",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(self.ratio),
            }
            variables |= {f"OTEL_{each.upper()}_EXPORTER": "none" for each in SIGNALS if each not in self.signals}
        else:
            # The instrumentations are loaded, and nothing records.
            variables["OTEL_SDK_DISABLED"] = "true"
        return variables


def pairs(**what: object) -> Iterator[Variant]:
    """The same telemetry by the stock SDK and by otel-rs."""
    for sdk in DISTROS:
        yield Variant(sdk, **{"signals": SIGNALS, **what})  # type: ignore[arg-type]


NOTHING = (Variant("none"), Variant("api"))
QUICK = (*NOTHING, *pairs(), *pairs(ratio=0.01))
FULL = (
    *QUICK,
    *pairs(ratio=0),
    *(variant for each in SIGNALS for variant in pairs(signals=(each,))),
    *pairs(protocol="http"),
)
