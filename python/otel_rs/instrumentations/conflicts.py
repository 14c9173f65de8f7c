"""Whether the libraries that an instrumentation is for are installed in versions that it takes, without `packaging`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError

# What packages for contrib's libraries write. Anything else is for upstream to read.
_RELEASE = r"\d+(?:\.\d+)*"
_BOUND = rf"(>=|<=|~=|>|<)\s*({_RELEASE})"
_REQUIREMENT = re.compile(
    rf"""([\w.-]+)\s*\(?\s*((?:{_BOUND}\s*,?\s*)*)\)?\s*;\s*extra\s*==\s*["'](instruments|instruments-any)["']"""
)
_BOUNDS = re.compile(_BOUND)


def certainly_none(distribution: Distribution) -> bool:
    """False where upstream has to look, and to say what is wrong."""
    every, any_of = list[bool](), list[bool]()
    for requirement in _headers(distribution, "Requires-Dist"):
        # As upstream does. That of another extra may hold "instruments", too: then it does not match.
        if "extra" not in requirement or "instruments" not in requirement:
            continue
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            return False
        (any_of if match[5] == "instruments-any" else every).append(_is_met(match[1], match[2]))
    return all(every) and (any(any_of) or not any_of)


def _is_met(name: str, bounds: str) -> bool:
    try:
        version = next(_headers(Distribution.from_name(name), "Version"), "")
    except PackageNotFoundError:
        return False
    if re.fullmatch(_RELEASE, version) is None:
        return False
    return all(_is_within(_numbers(version), operator, _numbers(bound)) for operator, bound in _BOUNDS.findall(bounds))


def _is_within(version: list[int], operator: str, bound: list[int]) -> bool:
    if operator == "~=":
        prefix = len(bound) - 1
        return prefix > 0 and version[:prefix] == bound[:-1] and _is_within(version, ">=", bound)
    length = max(len(version), len(bound))
    here, there = (numbers + [0] * (length - len(numbers)) for numbers in (version, bound))
    return {">=": here >= there, "<=": here <= there, ">": here > there, "<": here < there}[operator]


def _numbers(release: str) -> list[int]:
    return [int(number) for number in release.split(".")]


def _headers(distribution: Distribution, name: str) -> Iterator[str]:
    """Without the description, often a long one, which `Distribution.metadata` parses as well."""
    head = (distribution.read_text("METADATA") or "").partition("\n\n")[0]
    for line in head.splitlines():
        header, _, value = line.partition(": ")
        if header == name:
            yield value.strip()
