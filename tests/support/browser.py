"""A headless Chromium, as Debian has it, with its driver."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

import pytest

from .viewer import DEADLINE

T = TypeVar("T")

chromium_only = pytest.mark.skipif(
    None in (shutil.which("chromedriver"), shutil.which("chromium"), find_spec("selenium")),
    reason="selenium, or Debian's chromium or chromium-driver, is not installed",
)


@contextmanager
def browser(*, dark: bool = False, width: int = 1200, height: int = 800) -> Iterator[Any]:
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Or it asks the proxy for loopback.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    driver = Chrome(options, ChromeService(shutil.which("chromedriver"), env=environment))
    try:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        yield driver
    finally:
        driver.quit()


def until(condition: Callable[[], T]) -> T:
    """The first value that is true. What is drawn anew in between is looked for again."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    end = time.monotonic() + DEADLINE
    while True:
        try:
            value = condition()
        except (NoSuchElementException, StaleElementReferenceException):
            value = None  # type: ignore[assignment]
        if value:
            return value
        assert time.monotonic() < end, "not within the deadline"
        time.sleep(0.02)
