"""That no version conflicts is said only where upstream says it, too: `packaging` is the judge."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

from otel_rs.instrumentations.conflicts import certainly_none

VERSIONS = st.one_of(
    st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda numbers: ".".join(map(str, numbers))),
    st.sampled_from(["1.0rc1", "2.post1", "1!1.0", "1.0+local", "1.0.dev3", ""]),
)
BOUND = st.tuples(st.sampled_from([">=", "<=", "<", ">", "~=", "==", "!=", "==="]), VERSIONS).map("".join)
REQUIREMENT = st.tuples(
    st.sampled_from(["library-one", "library.two", "LIBRARY_one", "not-there"]),
    st.lists(BOUND, max_size=3),
    st.sampled_from([", ", ","]),
    st.sampled_from(["instruments", "instruments-any", "other", "other_instruments"]),
    st.sampled_from(["", ' and python_version >= "3"', ' and python_version < "3"']),
).map(lambda parts: f'{parts[0]} {parts[2].join(parts[1])}; extra == "{parts[3]}"{parts[4]}')


def distribution(folder: Path, name: str, version: str, *requirements: str) -> metadata.Distribution:
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    (information / "METADATA").write_text("\n".join([*lines, "", "Requires-Dist: in-the-description", ""]))
    return metadata.PathDistribution(information)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(VERSIONS, VERSIONS, st.lists(REQUIREMENT, max_size=3))
@example("1.10", "2", ['library-one >=1.9,<2.0; extra == "instruments"'])
@example("2.0", "2", ['library-one ~=1.0; extra == "instruments"'])
def test_it_says_so_only_where_upstream_does(
    tmp_path_factory: pytest.TempPathFactory, one: str, two: str, requirements: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("site")
    sys.path.insert(0, str(folder))
    try:
        distribution(folder, "library_one", one)
        distribution(folder, "library_two", two)
        instrumentation = distribution(folder, "instrumentation", "1", *requirements)
        if certainly_none(instrumentation):
            assert get_dist_dependency_conflicts(instrumentation) is None
    finally:
        sys.path.remove(str(folder))


def test_of_contribs_packages_it_says_so_wherever_upstream_does() -> None:
    entry_points = metadata.entry_points(group="opentelemetry_instrumentor")
    distributions = [entry_point.dist for entry_point in entry_points if entry_point.dist is not None]
    assert len(distributions) > 5
    for each in distributions:
        assert certainly_none(each) == (get_dist_dependency_conflicts(each) is None), each.name
