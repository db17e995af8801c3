"""The report in a real browser: it opens, filters, shows a failure and scrolls slices, offline."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memori.neuro.report.page import Report

INSTALL = "apt-get install chromium chromium-driver, and pip install selenium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, or a skip that says how to install it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason=f"no browser: {INSTALL}")
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        pytest.skip(f"no browser: {INSTALL}")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(browser: Any, remembered: Path, made: Report) -> Any:
    """The report, opened anew."""
    browser.get(f"file://{remembered}/report.html")
    return browser


def one(page: Any, selector: str) -> Any:
    """The element that a selector stands for."""
    return page.find_element("css selector", selector)


def wait(page: Any, holds: Callable[[Any], Any]) -> Any:
    """Wait until something holds, and return it."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, 20, 0.05).until(holds)


def rows(page: Any) -> list[str]:
    """The cases that the grid shows."""
    return [each.text for each in page.find_elements("css selector", "#cells tbody th")]


def test_it_opens_with_a_row_for_each_case(page: Any) -> None:
    """The grid says what became of each stage, to the eye and to a screen reader."""
    assert ["sub-01", "sub-02"] == rows(page)
    labels = [
        each.get_attribute("aria-label") for each in page.find_elements("css selector", ".cell")
    ]
    assert any(label.startswith("sub-02, check: failed") for label in labels)
    assert all(each.get_attribute("alt") for each in page.find_elements("css selector", "img"))


def test_it_is_searched_and_filtered_by_keyboard(page: Any) -> None:
    """`/` searches, `stage:state` finds, digits choose a state, and 0 shows all again."""
    from selenium.webdriver.common.keys import Keys

    one(page, "body").send_keys("/")
    page.switch_to.active_element.send_keys("check:failed")
    assert ["sub-02"] == rows(page)
    page.switch_to.active_element.clear()
    page.switch_to.active_element.send_keys("not fine", Keys.ESCAPE)
    assert ["sub-02"] == rows(page)
    one(page, "#search").clear()
    one(page, "#search").send_keys(Keys.ESCAPE)
    one(page, "body").send_keys("5")
    assert ["sub-02"] == rows(page)
    one(page, "body").send_keys("0")
    assert ["sub-01", "sub-02"] == rows(page)


def test_a_failure_is_expanded(page: Any) -> None:
    """It shows the error, the line that runs the stage alone, and what the command printed."""
    one(page, "body").send_keys("f")
    text = wait(page, lambda _: one(page, ".failure pre").text)
    assert "CommandError: sh exited with code 3" in text or "is not fine" in text
    assert "reproduce.py" in one(page, ".failure").text


def test_slices_are_scrolled(page: Any) -> None:
    """Moving the slider shows other slices of all three planes."""
    from selenium.webdriver.common.keys import Keys

    slider = wait(page, lambda _: one(page, "#pictures input[type=range]"))
    axial = "document.querySelectorAll('#pictures .planes div')[2]"
    place = f"return getComputedStyle({axial}).backgroundPosition"
    before = page.execute_script(place)
    slider.send_keys(Keys.ARROW_RIGHT)
    assert before != page.execute_script(place)


def test_a_run_is_opened_and_the_slice_viewer_works_in_it(page: Any) -> None:
    """Nilearn's viewer draws on its canvas, without a network."""
    wait(page, lambda _: page.find_elements("css selector", "#pictures .planes"))
    page.execute_script("document.querySelector('.cell').click()")
    title = wait(page, lambda _: one(page, "#run h2").text)
    assert "mean, sub-01" == title
    button = wait(page, lambda _: page.find_elements("css selector", "#run .tools button"))[0]
    button.click()
    page.switch_to.frame(wait(page, lambda _: one(page, "#run iframe")))
    assert wait(page, lambda _: page.find_elements("css selector", "canvas"))
    page.switch_to.default_content()


def test_names_do_nothing(page: Any) -> None:
    """A file called `<img onerror=...>` is a text, wherever it is shown."""
    wait(page, lambda _: page.find_elements("css selector", "#pictures figure"))
    for each in page.find_elements("css selector", ".cell:enabled"):
        page.execute_script("arguments[0].click()", each)
        wait(page, lambda _: page.find_elements("css selector", "#run .hint"))
        page.execute_script("document.getElementById('run').close()")
    assert "onerror" in page.execute_script(
        "return document.getElementById('pictures').textContent"
    )
    assert "memori report" in page.title
    assert [] == page.find_elements("css selector", "[onerror], img[src=x]")


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_the_width(page: Any, width: int) -> None:
    """Nothing but the tables is scrolled sideways, on a phone either."""
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.refresh()
    sizes = "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
    needed, there = page.execute_script(sizes)
    assert needed == there <= width


def test_no_request_leaves_the_file_and_the_console_is_silent(page: Any, remembered: Path) -> None:
    """In all that the tests before did."""
    wait(page, lambda _: page.find_elements("css selector", "#pictures figure"))
    messages = [json.loads(each["message"])["message"] for each in page.get_log("performance")]
    urls = {
        each["params"]["request"]["url"]
        for each in messages
        if each["method"] == "Network.requestWillBeSent"
    }
    outside = {url for url in urls if not url.startswith(("data:", "blob:", "about:"))}
    assert {f"file://{remembered}/report.html"} == outside
    assert [] == page.get_log("browser")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(page: Any, scheme: str) -> None:
    """By 4.5 to 1 at least, as WCAG 2.2 asks for at level AA, also in an opened run."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    wait(page, lambda _: page.find_elements("css selector", "#pictures figure"))
    page.execute_script("document.querySelector('.cell').click()")
    wait(page, lambda _: page.find_elements("css selector", "#run h3"))

    found = page.execute_script(Path(__file__).with_name("contrast.js").read_text())

    assert len(found) > 50
    assert [] == [each for each in found if each[0] < 4.5]


def test_controls_have_names_and_the_headings_an_order(page: Any) -> None:
    """Who hears the page finds all that is seen; nothing is called alike by its id."""
    every = "return [...document.querySelectorAll({!r})]"
    controls = every.format("button, input, select, [role=region], [role=img]")
    has_name = "each.ariaLabel || each.textContent.trim() || each.labels?.length"
    wait(page, lambda _: page.find_elements("css selector", "#pictures figure"))
    assert [] == page.execute_script(f"{controls}.filter((each) => !({has_name})).map(String)")
    levels = page.execute_script(f"{every.format('h1, h2')}.map((each) => each.tagName)")
    assert sorted(levels) == levels
    ids = page.execute_script(f"{every.format('[id]')}.map((each) => each.id)")
    assert len(ids) == len(set(ids))
