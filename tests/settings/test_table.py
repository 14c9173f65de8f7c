"""The table of settings holds what is read, nothing else, and the page is made of it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import opentelemetry.environment_variables
import opentelemetry.instrumentation.environment_variables
import opentelemetry.sdk.environment_variables
import pytest

from otel_rs.settings import table
from otel_rs.settings.kinds import Number
from otel_rs.settings.page import page
from otel_rs.settings.table import ALL, Setting

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "otel_rs"
UPSTREAM = Path(sysconfig.get_path("purelib")) / "opentelemetry"
VARIABLE = re.compile(r"OTEL_[A-Z_]+")


def variables_in(source: Path) -> set[str]:
    """String constants that are variables, and constants of upstream's that are imported."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
            found.add(node.value)
        elif isinstance(node, ast.ImportFrom) and "environment_variables" in (node.module or ""):
            found.update(alias.name for alias in node.names if VARIABLE.fullmatch(alias.name))
    return found


def names_in(source: Path) -> set[str]:
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, (ast.Name, ast.Attribute))
    }


def proxy_variables() -> set[str]:
    """Those that the native part reads by themselves, in lower case."""
    source = (ROOT / "crates" / "core" / "src" / "client" / "proxy" / "variables.rs").read_text()
    return {name.lower() for name in re.findall(r'"(\w+_proxy)"', source, re.IGNORECASE)}


MODULES = [source for source in PACKAGE.rglob("*.py") if source.name != "table.py"]


def test_the_table_has_every_variable_that_is_read() -> None:
    read = {variable for source in MODULES for variable in variables_in(source)}
    for source in (ROOT / "src").rglob("*.rs"):
        if "tests" not in source.parts and source.name != "tests.rs":
            read.update(re.findall(r'"(OTEL_[A-Z_]+)"', source.read_text()))
    read |= proxy_variables()
    assert read - {setting.variable for setting in ALL} == set()


def test_the_table_has_nothing_that_nobody_reads() -> None:
    names = {id(value): name for name, value in vars(table).items() if isinstance(value, Setting)}
    used = {name for source in MODULES for name in names_in(source)}
    folders = [UPSTREAM / "sdk", UPSTREAM / "instrumentation" / "auto_instrumentation"]
    files = [
        source for folder in folders for source in folder.rglob("*.py") if source.parent.name[:11] != "environment"
    ]
    upstream = "\n".join(source.read_text() for source in files)
    settings = [setting for group in table.GROUPS.values() for setting in group]
    used_by_others = {id(setting.general) for setting in settings if names[id(setting)] in used}
    unread = [
        setting.variable
        for setting in settings
        if names[id(setting)] not in used
        and id(setting) not in used_by_others
        and setting.variable not in proxy_variables()
        and not re.search(rf"\b_?{setting.variable}\b", upstream)
    ]
    assert unread == []


def test_every_setting_is_in_a_group() -> None:
    in_groups = {id(setting) for group in table.GROUPS.values() for setting in group}
    assert [
        name for name, value in vars(table).items() if isinstance(value, Setting) and id(value) not in in_groups
    ] == []


def test_upstream_knows_the_variables_that_are_not_our_own() -> None:
    known = {
        value
        for module in (
            opentelemetry.environment_variables,
            opentelemetry.sdk.environment_variables,
            opentelemetry.instrumentation.environment_variables,
        )
        for value in vars(module).values()
        if isinstance(value, str)
    }
    ours = {setting.variable for setting in ALL if "OTEL_RS_" in setting.variable}
    # The others are other libraries'.
    opentelemetrys = {setting.variable for setting in ALL if setting.variable.startswith("OTEL_")}
    assert opentelemetrys - ours - known == set()


def test_headers_are_the_only_secrets() -> None:
    assert {setting.variable for setting in ALL if setting.secret} == {
        f"OTEL_EXPORTER_OTLP_{signal}HEADERS" for signal in ("", "TRACES_", "METRICS_", "LOGS_")
    }


@pytest.mark.parametrize(
    "setting",
    [setting for setting in ALL if isinstance(setting.kind, Number) and setting.default is not None],
    ids=lambda setting: setting.variable,
)
def test_a_default_is_a_value_that_is_accepted(setting: Setting) -> None:
    assert setting.kind.parse(setting.kind.text(setting.default)) == setting.default


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), (
        "python -m otel_rs.settings > docs/configuration.md"
    )


@pytest.mark.parametrize("command", [["-m", "otel_rs.settings"], ["-m", "otel_rs.cli", "settings"]], ids=str)
def test_the_page_is_printed(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == page()
