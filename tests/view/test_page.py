"""The page of `otel-rs view --web` in a browser, used with the keyboard alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ..support.browser import browser, chromium_only, until
from ..support.viewer import CHILD_ID, TRACE_ID, a_trace, posix_only, post, started_web
from .test_filters import logs, metrics, traces

pytestmark = [posix_only, chromium_only, pytest.mark.timeout(240)]


def by_id(driver: Any, name: str) -> Any:
    return driver.find_element("id", name)


def texts(driver: Any, selector: str) -> list[str]:
    return [found.text for found in driver.find_elements("css selector", selector)]


def press(driver: Any, *keys: str) -> None:
    driver.switch_to.active_element.send_keys(*keys)


def a_record(text: str) -> bytes:
    request = ExportLogsServiceRequest()
    record = (
        request.resource_logs.add()
        .scope_logs.add()
        .log_records.add(trace_id=TRACE_ID, span_id=CHILD_ID, severity_number=13)
    )
    record.body.string_value = text
    return request.SerializeToString()


def assert_quiet(driver: Any, page: str) -> None:
    """No error, nothing that the policy refused, and no request to anywhere else."""
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert any(url == f"{page}/page.js" for url in asked)
    assert [url for url in asked if not url.startswith((f"{page}/", "chrome:", "data:"))] == []


def test_a_trace_is_found_and_read_with_the_keyboard() -> None:
    from selenium.webdriver.common.keys import Keys

    with started_web() as (view, page, url), browser() as driver:
        driver.get(page)
        until(lambda: by_id(driver, "traces-empty").is_displayed())
        # Live: the page was there first.
        post(f"{url}/v1/traces", traces())
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        post(f"{url}/v1/logs", a_record("slow"))
        until(lambda: len(texts(driver, "#trace-list li")) == 3)
        assert texts(driver, "#trace-list .name") == ["GET /server_request", "nightly", "GET /Orders"]

        trace_list = by_id(driver, "trace-list")
        for _ in range(20):
            press(driver, Keys.TAB)
            if driver.switch_to.active_element == trace_list:
                break
        assert driver.switch_to.active_element == trace_list
        press(driver, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
        chosen = driver.find_element("css selector", '#trace-list [aria-selected="true"]')
        assert trace_list.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
        # The focus is seen.
        assert chosen.value_of_css_property("outline-style") == "solid"
        press(driver, Keys.ENTER)

        until(lambda: texts(driver, "#span-list .name") == ["GET /server_request my-service", "render my-service"])
        assert by_id(driver, "trace-title").text == f"GET /server_request, 12.3 ms, trace {TRACE_ID.hex()}"
        assert driver.switch_to.active_element == by_id(driver, "span-list")
        press(driver, Keys.ARROW_DOWN)
        detail = by_id(driver, "detail")
        until(lambda: "boom" in detail.text)
        assert "map\n{k=[-1]}" in detail.text
        assert "slow" in detail.text
        bars = driver.execute_script(
            "return [...document.querySelectorAll('#span-list .track')].map((track) => {"
            " const bar = track.firstChild.getBoundingClientRect(), box = track.getBoundingClientRect();"
            " return [(bar.left - box.left) / box.width, bar.width / box.width]; })"
        )
        assert bars[0] == pytest.approx([0, 1], abs=0.01)
        assert bars[1] == pytest.approx([1 / 12.3, 1 / 12.3], abs=0.01)

        # What comes later is shown, too, and what was chosen stays.
        post(f"{url}/v1/logs", a_record("later"))
        until(lambda: "later" in detail.text)
        assert "boom" in detail.text
        press(driver, Keys.ESCAPE)
        until(lambda: trace_list.is_displayed())
        assert_quiet(driver, page)
        assert view.end() == 0
        until(lambda: by_id(driver, "state").text == "otel-rs view does not answer")


def test_the_filters_of_the_page() -> None:
    with started_web() as (view, page, url), browser() as driver:
        post(f"{url}/v1/traces", traces())
        driver.get(page)
        names = "#trace-list .name"
        until(lambda: texts(driver, names) == ["nightly", "GET /Orders"])
        by_id(driver, "name").send_keys("orders")
        until(lambda: texts(driver, names) == ["GET /Orders"])
        by_id(driver, "name").clear()
        by_id(driver, "min").send_keys("301")
        until(lambda: texts(driver, names) == ["nightly"])
        by_id(driver, "min").clear()
        by_id(driver, "errors").click()
        until(lambda: texts(driver, names) == ["GET /Orders"])
        by_id(driver, "errors").click()
        by_id(driver, "service").send_keys("jobs")
        until(lambda: texts(driver, names) == ["nightly"])
        assert_quiet(driver, page)
        assert view.end() == 0


def test_metrics_and_logs_have_their_pages() -> None:
    with started_web() as (view, page, url), browser() as driver:
        for _ in range(3):
            post(f"{url}/v1/metrics", metrics())
        post(f"{url}/v1/logs", logs())
        driver.get(page)
        by_id(driver, "to-metrics").click()
        until(lambda: texts(driver, "#metric-rows td, #metric-rows th")[:4] == ["shop", "m", "", "1"])
        trend = driver.find_element("css selector", "#metric-rows svg")
        assert trend.get_attribute("aria-label") == "3 points from 1 to 1"
        assert len(trend.find_element("css selector", "polyline").get_attribute("points").split()) == 3
        by_id(driver, "to-logs").click()
        until(lambda: texts(driver, "#log-rows td:nth-child(3)") == ["ERROR", "INFO"])
        assert by_id(driver, "to-logs").get_attribute("aria-current") == "page"
        assert_quiet(driver, page)
        assert view.end() == 0


EVIL = "<img src=x onerror=document.title='got&nbsp;in'><script>document.title='got in'</script>\u202e\x1b[2J"


def test_nothing_of_a_peer_becomes_markup() -> None:
    from .test_terminal import filled

    with started_web() as (view, page, url), browser() as driver:
        for name, request in filled(EVIL):
            if name == "logs":
                request.resource_logs[0].scope_logs[0].log_records[0].ClearField("trace_id")
            post(f"{url}/v1/{name}", request.SerializeToString())
            if name == "traces":
                trace_id = request.resource_spans[0].scope_spans[0].spans[0].trace_id
        driver.get(page)
        until(lambda: texts(driver, "#trace-list li"))
        # As a reader of it can see.
        assert "<script>" in by_id(driver, "trace-list").text
        assert "\\u{202e}\\u{1b}" in by_id(driver, "trace-list").text
        for place in (f"trace={trace_id.hex()}", "metrics", "logs", "traces"):
            driver.get(f"{page}/#{place}")
            until(lambda place=place: by_id(driver, place.partition("=")[0]).is_displayed())
            until(lambda: "<script>" in driver.find_element("tag name", "main").text)
            assert (
                driver.execute_script("return document.querySelectorAll('img, main script, body script').length") == 0
            )
        assert driver.title == "otel-rs view"
        assert_quiet(driver, page)
        assert view.end() == 0


# Of WCAG 2, for text of this size.
MIN_CONTRAST = 4.5

CONTRASTS = """
const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const channel = (value) => linear(value / 255);
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
function ground(element) {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
}
return [...document.querySelectorAll("main *, header *")]
  .filter((each) => each.checkVisibility())
  .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => {
    const [a, b] = [luminance(parse(getComputedStyle(each).color)), luminance(ground(each))].sort((a, b) => a - b);
    return [(b + 0.05) / (a + 0.05), each.textContent.slice(0, 40)];
  });
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(dark: bool) -> None:
    with started_web() as (view, page, url), browser(dark=dark) as driver:
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        post(f"{url}/v1/logs", a_record("slow"))
        grounds = set()
        for place in ("traces", f"trace={TRACE_ID.hex()}"):
            driver.get(f"{page}/#{place}")
            until(lambda place=place: texts(driver, f"#{place.partition('=')[0]} li"))
            contrasts = driver.execute_script(CONTRASTS)
            assert len(contrasts) > 10
            assert [(ratio, text) for ratio, text in contrasts if ratio < MIN_CONTRAST] == []
            grounds.add(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
        assert grounds == {"rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)"}
        assert view.end() == 0


def test_everything_that_is_used_has_a_name_and_a_role() -> None:
    with started_web() as (view, page, url), browser() as driver:
        post(f"{url}/v1/traces", a_trace().SerializeToString())
        driver.get(f"{page}/#trace={TRACE_ID.hex()}")
        until(lambda: texts(driver, "#span-list li"))
        nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node}
        assert ("listbox", f"GET /server_request, 12.3 ms, trace {TRACE_ID.hex()}") in named
        assert ("option", "Level 2: render, my-service, 1.0 ms, error") in named
        assert {role for role, _ in named} >= {"navigation", "main", "banner", "heading", "complementary", "status"}
        needs_a_name = {"option", "listbox", "link", "textbox", "searchbox", "checkbox", "spinbutton", "combobox"}
        assert [each for each in named if each[0] in needs_a_name and not each[1]] == []
        assert view.end() == 0
