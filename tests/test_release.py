"""What decides about a release: the licences that need a text, the links of its page, and what is not published."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "release"))

import check_release  # noqa: E402
import description  # noqa: E402
import licenses  # noqa: E402


@pytest.mark.parametrize(
    ("expression", "needs"),
    [
        ("Apache-2.0", False),
        ("MIT OR Apache-2.0", False),
        ("Apache-2.0 / MIT", False),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", False),
        ("MIT", True),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", True),
        ("ISC AND (Apache-2.0 OR ISC)", True),
    ],
)
def test_a_licence_that_is_not_to_be_had_as_apache_needs_its_text(expression: str, needs: bool) -> None:
    assert licenses.needs_text(expression) is needs


def test_the_texts_of_c_sources_are_found() -> None:
    text = licenses.FILE.read_text()
    assert "Copyright (c) Meta Platforms, Inc. and affiliates" in text  # zstd
    assert "fiat-crypto" in text or "the fiat-crypto authors" in text  # AWS-LC


def test_every_crate_of_the_table_is_in_the_lock_file() -> None:
    lock = (ROOT / "Cargo.lock").read_text()
    locked = set(re.findall(r'name = "(.*)"\nversion = "(.*)"\nsource', lock))
    listed = re.findall(r"^(\S+) (\d\S*): ", licenses.FILE.read_text(), re.MULTILINE)
    assert len(listed) > 100
    assert set(listed) <= locked


def test_links_to_files_lead_to_the_repository_and_others_stay() -> None:
    found = re.findall(r"\]\(([^)]*)\)", description.FILE.read_text())
    assert f"{description.repository()}/blob/main/docs/platforms.md" in found
    assert f"{description.repository()}/raw/main/docs/images/benchmarks.svg" in found
    assert [link for link in found if not link.startswith(("https://", "#"))] == []


WHEEL, SDIST = Path("otel_rs-0.1.0-cp311-cp311-manylinux_2_17_x86_64.whl"), Path("otel_rs-0.1.0.tar.gz")


def test_a_release_needs_the_tag_of_its_version_a_date_an_address_and_all_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_release, "version", lambda: "0.1.0")
    monkeypatch.setattr(check_release, "changelog", lambda: "# Changelog\n\n## 0.1.0 - 2026-11-27\n")
    monkeypatch.setattr(check_release, "repository", lambda: "https://forge.test/otel-rs")
    assert check_release.faults("v0.1.0", [SDIST, WHEEL]) == []
    assert len(check_release.faults("v0.1.0", [SDIST])) == 1
    assert len(check_release.faults("v0.1.0", [SDIST, WHEEL, Path("otel_rs-0.0.9.tar.gz")])) == 1
    assert len(check_release.faults("v0.2.0", [SDIST, WHEEL])) == 2
    monkeypatch.setattr(check_release, "changelog", lambda: "# Changelog\n\n## 0.1.0 - unreleased\n")
    assert len(check_release.faults("v0.1.0", [SDIST, WHEEL])) == 1
    monkeypatch.setattr(check_release, "repository", lambda: "https://otel-rs.example")
    assert len(check_release.faults("v0.1.0", [SDIST, WHEEL])) == 2


def test_all_that_runs_in_a_workflow_is_a_make_target_or_gets_a_tool() -> None:
    """Nothing is written twice, and all of it can be run by hand."""
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for file in (ROOT / ".github/workflows").glob("*.yml"):
        for command in re.findall(r"run: (.*)", file.read_text()):
            for part in command.split("&&"):
                words = [word for word in part.split() if "=" not in word]
                if words[0] == "make":
                    assert set(words[1:]) <= targets, (file.name, command)
                else:
                    assert part.strip().startswith(("sudo apt-get ", "go install ", "cargo install ", ".ci/run"))


def test_actions_are_pinned_by_hash() -> None:
    for file in (ROOT / ".github/workflows").glob("*.yml"):
        for action in re.findall(r"uses: (\S+)", file.read_text()):
            assert action.startswith("./") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), (file.name, action)


@pytest.mark.parametrize("script", ["description", "table"])
def test_what_is_made_is_checked(script: str, tmp_path: Path) -> None:
    """`make lint` runs the checks: here they fail for a page that was changed by hand."""
    for name in ("README.md", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for folder in ("release", "docs"):
        subprocess.run(["cp", "-r", str(ROOT / folder), str(tmp_path / folder)], check=True)
    for folder in ("examples", "benches", "CONTRIBUTING.md", "LICENSE"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    command = [sys.executable, tmp_path / f"release/{script}.py", "--check"]
    subprocess.run(command, check=True)
    page = tmp_path / {"description": "release/description.md", "table": "docs/platforms.md"}[script]
    page.write_text(re.sub(r"# otel-rs|\| Wheel \|", "changed", page.read_text(), count=1))
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 1
