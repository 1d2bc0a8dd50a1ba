"""The report in a real browser: every plot shows something, nothing is fetched, and anybody can read it, on a screen and on a telephone."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.replay.column import Comparison
from sidecar.replay.report.page import render
from tests.replay.comparisons import comparison

COLUMNS = 4
WIDTHS = {"wide": 1280, "narrow": 390}
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
UNITS = {  # of what an axis says
    ("latency", "latency"): {"time to the answer", "share of answers that are not slower"},
    ("degraded", ""): {"hours since the first call", "degraded share of answers"},
    ("answered", "stack"): {"hours since the first call"},
    ("breakers", ""): {"hours since the first call"},
    ("amplification", ""): {"hours since the first call", "attempts per call"},
    ("amplification", "calls"): {"hours since the first call", "calls per second"},
}
HOSTILE = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>'
CASES = {
    "usual": comparison(COLUMNS),
    "eight columns, names that hurt": Comparison(
        tuple(
            column._replace(name=name)
            for column, name in zip(
                comparison(8).columns,
                (HOSTILE, "x" * 300, "\u202etxt.exe", "مرحبا بالعالم", "a\nb", "</style>", "W" * 300, "h"),
                strict=True,
            )
        ),
        (),
        (HOSTILE, "y" * 300),
        0.95,
    ),
}

# What a plot must show: for each colour in it what it is of, and whether it is thin (a line) or not.
PLOTS = """
const shown = (e) => e.getClientRects().length > 0;  // checkVisibility knows nothing of a hidden <g>
const colour = (e) => { const s = getComputedStyle(e); return e.matches(".line") ? s.stroke : s.fill; };
const name = (e) => [...e.classList].filter(word => word !== "line").join(" ");
return [...document.querySelectorAll("svg.plot")].filter(shown).map(plot => {
  const box = plot.getBoundingClientRect();
  const parts = [...plot.querySelectorAll("path, rect.closed")].filter(shown).map(e => [name(e), colour(e)]).filter(([, c]) => c.startsWith("rgb"));
  return {
    section: plot.closest("section").id, kind: plot.classList[1] ?? "", box: [box.left + scrollX, box.top + scrollY, box.width, box.height], parts,
    down: [...plot.querySelectorAll(".tick.end")].map(e => e.textContent),
    across: [...plot.querySelectorAll(".tick.middle")].filter(shown).map(e => e.textContent),
    units: [...plot.querySelectorAll(".unit")].map(e => e.textContent),
    letters: [...plot.querySelectorAll(".letter")].filter(shown).map(e => e.textContent),
    label: plot.getAttribute("aria-label"),
  };
});
"""
# In a page without a content security policy: how many pixels of a picture have nearly a colour, for each box and colour.
COUNT = """
const [picture, boxes, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  done(boxes.map(([[left, top, width, height], colours]) => {
    const pixels = context.getImageData(Math.round(left), Math.round(top), Math.round(width), Math.max(Math.round(height), 1)).data;
    return colours.map(colour => {
      const [r, g, b] = colour.match(/[0-9]+/g).map(Number);
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4)
        if (Math.abs(pixels[i] - r) < 30 && Math.abs(pixels[i + 1] - g) < 30 && Math.abs(pixels[i + 2] - b) < 30) count++;
      return count;
    });
  }));
};
image.src = "data:image/png;base64," + picture;
"""
# Texts that are too pale, too small, or beyond the window, and tick labels that cover each other.
READABLE = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgb = (c) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = (c) => { const [r, g, b] = rgb(c).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] === 255) return c; } return "white"; };
const contrast = (one, other) => { const [a, b] = [light(one), light(other)]; return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
const poor = [];
let checked = 0;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim().slice(0, 40);
  if (!text || !e.getClientRects().length || e.closest("title, .unseen") || getComputedStyle(e.closest("thead") ?? document.body).clipPath !== "none") continue;
  const style = getComputedStyle(e), drawn = e instanceof SVGElement, range = document.createRange();
  range.selectNodeContents(walk.currentNode);
  const box = drawn ? e.getBoundingClientRect() : range.getBoundingClientRect();
  checked += 1;
  const ratio = contrast(drawn ? style.fill : style.color, ground(e));
  if (ratio < 4.5) poor.push(["pale", ratio.toFixed(2), text]);
  if (parseFloat(style.fontSize) < 12 || box.height < 11) poor.push(["small", style.fontSize, box.height, text]);
  if (box.left < -0.5 || box.right > innerWidth + 0.5) poor.push(["beyond", box.left, box.right, text]);
}
for (const plot of document.querySelectorAll("svg.plot")) {
  for (const kind of [".tick.middle", ".tick.end", ".letter"]) {
    const boxes = [...plot.querySelectorAll(kind)].filter(e => e.getClientRects().length).map(e => [e.getBoundingClientRect(), e.textContent]);
    boxes.forEach(([a, one], n) => boxes.slice(n + 1).forEach(([b, other]) => {
      const over = (low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]);
      if (over("left", "right") > 0.5 && over("top", "bottom") > 4) poor.push(["covered", kind, one, other]);
    }));
  }
}
for (const e of document.querySelectorAll("path.line, .sample .line")) {
  if (e.getClientRects().length && contrast(getComputedStyle(e).stroke, ground(e)) < 3) poor.push(["pale line", e.classList.value]);
}
return [checked, poor];
"""


class Browser:
    """A headless Chromium of one's own that tells what it was asked to fetch."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver  # noqa: PLC0415 - slow to import, and only where there is a browser

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for word in (
            "headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update",
            "disable-sync", "disable-dev-shm-usage", "hide-scrollbars", f"user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self.driver.set_script_timeout(30)
        self.command(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective+' '+e.blockedURI));",
        )

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def open(self, path: Path, width: str, scheme: str) -> None:
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.command(
            "Emulation.setDeviceMetricsOverride", width=WIDTHS[width], height=900, deviceScaleFactor=1, mobile=False
        )
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.get(path.as_uri())

    def complaints(self) -> list[Any]:
        """What the console holds, and what the content security policy stopped."""
        return [entry["message"] for entry in self.driver.get_log("browser")] + self.run("return violations")

    def asked_for(self) -> list[str]:
        """The addresses of everything that was requested since the page was opened."""
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]

    def picture(self) -> str:
        """Of the whole page, as base64 of a PNG."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return str(self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"])

    def counted(self, picture: str, plots: list[dict[str, Any]]) -> list[list[int]]:
        """For each plot and each of its parts, how many pixels within its box have the colour of that part. Leaves the page."""
        self.driver.get("about:blank")
        boxes = [(plot["box"], [colour for _, colour in plot["parts"]]) for plot in plots]
        return list(self.driver.execute_async_script(COUNT, picture, boxes))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"the report is not looked at: there is no {' and no '.join(missing)}")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    for number, (name, given) in enumerate(CASES.items()):
        found[name] = folder / f"report-{number}.html"
        found[name].write_text(
            render(
                given, title="Tuesday", made_of=["journal-000001.jsonl"], version="0.1.0", limits={"deadline": 4.75}
            ),
            encoding="utf-8",
        )
    return found


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_plot_shows_its_curves_and_says_what_its_axes_are(browser, reports, width, scheme):
    browser.open(reports["usual"], width, scheme)
    plots = browser.run(PLOTS)
    kinds = [(plot["section"], plot["kind"]) for plot in plots]
    assert kinds == [
        ("latency", "latency"),
        ("degraded", ""),
        *[("answered", "stack")] * COLUMNS,
        *[("breakers", "band")] * COLUMNS * 2,
        ("breakers", ""),
        ("amplification", ""),
        ("amplification", "calls"),
    ]
    picture = browser.picture()
    assert len(base64.b64decode(picture)) > 50_000
    counts = browser.counted(picture, plots)
    for plot, kind, counted in zip(plots, kinds, counts, strict=True):
        seen = {name: count for (name, _), count in zip(plot["parts"], counted, strict=True)}
        assert plot["label"]
        if kind in {("latency", "latency"), ("degraded", ""), ("amplification", "")}:
            assert list(seen) == [f"c{n}" for n in reversed(range(COLUMNS))]
            assert min(seen.values()) > 60, (kind, seen)
            assert sorted(plot["letters"]) == ["A", "B", "C", "D"]
        elif kind == ("answered", "stack"):
            assert seen["primary"] > 0.5 * plot["box"][2] * plot["box"][3]
            assert seen["fallback"] > 0.04 * plot["box"][2] * plot["box"][3]
        elif kind == ("breakers", "band"):
            assert seen["closed"] > 0.5 * plot["box"][2] * plot["box"][3]
            assert seen.get("open", 999) > 200, seen
        elif kind == ("amplification", "calls"):
            assert seen["traffic"] > 0.4 * plot["box"][2] * plot["box"][3]
        if kind != ("breakers", "band"):
            assert len(plot["across"]) >= 2, kind
            assert UNITS[kind] <= {*plot["units"]}
        if kind[0] in {"latency", "degraded", "answered", "amplification"}:
            assert len(plot["down"]) >= 3
    assert sum("open" in dict(plot["parts"]) for plot in plots) == COLUMNS  # the switch of each column


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_opens_without_a_network_and_anybody_can_read_it(browser, reports, case, width, scheme):
    browser.open(reports[case], width, scheme)
    browser.run("document.querySelector('details').open = true")
    checked, poor = browser.run(READABLE)
    assert checked > 200
    assert poor == []
    assert browser.run("return document.documentElement.scrollWidth") == WIDTHS[width]
    assert browser.run("return [document.title, document.scripts.length, document.images.length]") == ["Tuesday", 0, 0]
    assert browser.run("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert {address.partition(":")[0] for address in browser.asked_for()} <= {"file", "data"}
    assert browser.complaints() == []


def test_a_column_that_is_not_wanted_is_hidden_everywhere_and_then_no_pixel_of_it_is_left(browser, reports):
    browser.open(reports["usual"], "wide", "light")
    before = browser.run(PLOTS)
    browser.run("document.querySelector('#show-1').click()")
    after = browser.run(PLOTS)
    assert [sorted(plot["letters"]) for plot in after if plot["section"] in {"latency", "degraded"}] == [
        ["A", "C", "D"]
    ] * 2
    assert len(after) == len(before) - 3  # who answered, and two breakers
    assert (
        browser.run("return [...document.querySelectorAll('#figures .c1')].some(e => e.getClientRects().length > 0)")
        is False
    )
    assert (
        browser.run("return document.querySelector('#columns .c1').getClientRects().length > 0") is True
    )  # or nobody could bring it back
    curves = [plot for plot in before if plot["section"] == "latency"]
    ((*_, hidden, first),) = browser.counted(browser.picture(), curves)
    assert hidden == 0
    assert first > 60


def test_markup_that_somebody_did_put_into_the_page_would_do_nothing(browser, reports):
    browser.open(reports["usual"], "wide", "light")
    browser.run(
        "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s);"
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x'; document.body.append(i);"
    )
    browser.run("document.body.setAttribute('style', 'color: red')")
    assert browser.run("return window.ran") is None
    stopped = " ".join(map(str, browser.complaints()))  # so the check of the others can fail
    for directive in ("script-src", "img-src", "style-src"):
        assert directive in stopped
