"""The suites: which tests of which package, and what is not expected of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from environments import API, CONFIGURATION, CONTRIB, ENCODERS, EXPORTERS, SDK

HERE = Path(__file__).parent
STAND_INS = HERE / "stand_ins"


@dataclass(frozen=True)
class Suite:
    package: str
    # Fractions of what the suite makes: enough to show that it is native.
    least_native_spans: int = 0
    least_native_meters: int = 0
    # Files and folders in alphabetical order, as upstream collects them: some tests depend on the state that an earlier
    # test leaves.
    tests: tuple[str, ...] = ("tests",)
    excluded: Path | None = None
    # The largest share of tests that may be excluded.
    most_excluded: float = 0
    plugins: tuple[str, ...] = ()
    # A folder of packages that take the place of others.
    stand_ins: Path | None = None
    more_arguments: tuple[str, ...] = ()
    # A server of the tests listens on a port that the tests name, so that no second run can have it.
    fixed_port: bool = False


GRPC, HTTP = EXPORTERS
# They run against each version of the SDK.
SUITES = (
    Suite(
        SDK,
        tests=(
            "tests/context",
            "tests/logs",
            "tests/metrics",
            "tests/resources",
            "tests/shared_internal",
            "tests/test_configurator.py",
            "tests/trace",
        ),
        excluded=HERE / "excluded.txt",
        least_native_spans=150,
        least_native_meters=100,
        most_excluded=1 / 8,
    ),
    # Contexts are extracted and injected; hardly a span is started.
    Suite(
        API,
        tests=("tests/baggage", "tests/propagators", "tests/trace/propagation"),
        excluded=HERE / "excluded_api.txt",
        most_excluded=1 / 8,
    ),
    # The tests create spans of upstream's class, which the exporter accepts, too.
    Suite(
        GRPC,
        excluded=HERE / "excluded_grpc_exporter.txt",
        most_excluded=3 / 5,
        plugins=("native_mixin_exporter",),
        fixed_port=True,
    ),
    Suite(
        HTTP,
        excluded=HERE / "excluded_http_exporter.txt",
        least_native_spans=20,
        most_excluded=1 / 4,
        stand_ins=STAND_INS,
    ),
    Suite(ENCODERS, excluded=HERE / "excluded_encoders.txt", most_excluded=1 / 8, plugins=("native_encoders",)),
    # The tests look at the providers that are made, and end no spans.
    Suite(CONFIGURATION),
)

# Some tests measure a request themselves, and expect the recorded duration to be the same within some milliseconds,
# which it is not where the machine has other work. And ASGI's wait 10 ms for an answer, where the process's first may
# take longer.
COMPARED_DURATIONS = (
    "--reruns=3",
    r"--only-rerun=within \d+ (places|delta)",
    "--only-rerun=Data point HistogramDataPoint.* does not exist",
    "--only-rerun=ASGI application produced no response messages",
)

# The instrumentations' own: spans and metrics are asserted.
CONTRIB_SUITES = tuple(
    Suite(
        f"{CONTRIB}-{name}",
        least_native_spans=spans,
        least_native_meters=meters,
        more_arguments=COMPARED_DURATIONS,
        **more,
    )
    for name, spans, meters, more in (
        # The longest first.
        ("celery", 10, 5, {}),
        ("httpx", 100, 50, {}),
        ("asgi", 100, 50, {}),
        ("asyncpg", 10, 0, {}),
        ("dbapi", 20, 0, {}),
        ("django", 50, 50, {}),
        ("fastapi", 100, 50, {"excluded": HERE / "excluded_fastapi.txt", "most_excluded": 1 / 20}),
        ("flask", 50, 50, {}),
        ("grpc", 20, 0, {}),
        ("logging", 0, 0, {}),
        ("redis", 20, 0, {}),
        ("requests", 50, 50, {}),
        ("sqlalchemy", 20, 5, {}),
        ("sqlite3", 5, 0, {}),
        ("starlette", 50, 20, {}),
        ("system-metrics", 0, 40, {}),
        ("urllib", 20, 20, {}),
        ("urllib3", 50, 20, {}),
        ("wsgi", 30, 20, {}),
    )
)
