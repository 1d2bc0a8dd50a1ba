"""The status page in a real browser: what it says of a broken VX11, that it runs no script but its own, and that anybody can read it.

Pictures of it go to the test's own directory, and to the one that STATUS_PICTURES names if it is set (``docs/pictures`` are made so).
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from office import ADMIN, LINK, Office, standing

from sidecar.core.fact import CallBegan, ChatServed
from sidecar.edge.runtime import now
from sidecar.lab.town import Lab

MARKUP = '<img src=x onerror="document.title=1">'
POLICY = """\
deadline: {client: 4s}
breaker: {consecutive: 2, open: {base: 60s, max: 90s}}
targets:
  - {name: switch, timeouts: {attempt: 400ms}}
  - {name: madre}
fallback:
  local_text: {en: '<script>alert("policy")</script>'}
overload: {wait: 30s}  # a browser beside us makes the loop late
"""
WIDTHS = {"wide": (1280, 900), "narrow": (390, 844)}
SCHEMES = ("light", "dark")
PATIENCE = 10.0


class Browser:
    """A headless Chromium of one's own. Every method blocks: call them by ``asyncio.to_thread``."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver  # noqa: PLC0415 - slow to import, and only where there is a browser

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for word in (
            "headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-component-update",
            "disable-sync", "disable-dev-shm-usage", "hide-scrollbars", f"user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_script_timeout(PATIENCE)
        self.driver.set_page_load_timeout(30)
        self.command(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective+' '+e.blockedURI));",
        )

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def looks(self, width: str = "wide", scheme: str = "light", *, still: bool = False) -> None:
        across, down = WIDTHS[width]
        self.command("Emulation.setDeviceMetricsOverride", width=across, height=down, deviceScaleFactor=1, mobile=False)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.command("Emulation.setEmulatedMedia", features=features)

    def open(self, url: str, view: str = "live") -> None:
        self.driver.get("about:blank")
        self.complaints()  # of the page before, which may have outlived its sidecar
        self.driver.get(url)
        self.until(f"document.body.dataset.view === '{view}'")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: str) -> None:
        """Wait until this JavaScript expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415

        WebDriverWait(self.driver, PATIENCE, 0.05).until(lambda _: self.run(f"return {condition}"), condition)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def complaints(self) -> list[Any]:
        """What the console holds as warning or error since last asked, and what the content security policy stopped."""
        log = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
        return log + self.run("return window.violations ?? []")

    def picture(self, path: Path, top: int = 0, height: int = 1500) -> None:
        """Of that much of the page, from the pixel ``top`` on."""
        size = self.command("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": top, "width": size["width"], "height": min(height, size["height"] - top), "scale": 1}
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains  # noqa: PLC0415

        ActionChains(self.driver).send_keys(*keys).perform()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"the status page is not looked at: there is no {' and no '.join(missing)}")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


@asynccontextmanager
async def town(tmp_path: Path, **more: Any) -> AsyncIterator[tuple[Lab, Office]]:
    """A lab with the sidecar in front of it."""
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    async with Lab(token=LINK) as lab:
        places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
        async with standing(path, **places, **more) as office:
            yield lab, office


async def broken(lab: Lab, office: Office) -> None:
    """The switch was well, hung for a chat, and fails since: its breaker is open and madre answers."""
    for _ in range(3):
        await office.chat()
    await lab.fault("switch", "hang")
    await office.chat()
    await lab.clear("switch")
    await failing(lab, office)


async def failing(lab: Lab, office: Office) -> None:
    await lab.fault("switch", "error")
    for _ in range(4):
        await office.chat()


def page(office: Office) -> str:
    return f"http://{office.sidecar.serving.admin}/"


def history(office: Office) -> None:
    """Half an hour of chats as the trend would have seen them, for a picture that shows something."""
    at, luck = now(), random.Random(11)
    for number in range(250):
        ago = 1780 - number * 7.1
        slow = 700 < ago < 900
        seconds = luck.lognormvariate(-1.6, 0.5) + (luck.uniform(2.6, 3.4) if slow and luck.random() < 0.6 else 0)
        outcome = "fallback" if slow and luck.random() < 0.7 else "primary"
        office.sidecar._trend(ChatServed(at - ago, 0, "x", outcome, 200, seconds, 0.001))


HOLD = {"target": "madre", "kind": "forced_closed", "author": "ana", "reason": "its database restarts", "ttl": "10m"}
OVERFLOWING = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.unseen, thead')).map(e => e.outerHTML.slice(0, 80))"
CONTRASTS = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = (colour) => { const [r, g, b] = rgb(colour).map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] === 255) return c; } return "white"; };
const poor = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let checked = 0;
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility({visibilityProperty: true}) || e.closest("script, .unseen")) continue;
  const [one, other] = [light(getComputedStyle(e).color), light(ground(e))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  checked += 1;
  if (ratio < 4.5) poor.push([ratio.toFixed(2), walk.currentNode.data.trim().slice(0, 40)]);
}
return [checked, poor];
"""


async def test_a_broken_switch_is_seen_at_a_glance_and_the_page_breaks_no_rule_of_its_own(browser, tmp_path):
    pictures = Path(os.environ.get("STATUS_PICTURES") or tmp_path)

    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        assert browser.run("return document.title") == "Degraded: madre answers instead of switch · VX11 sidecar"
        answer = browser.text("#answer")
        for words in (
            "DEGRADED",
            "madre answers instead of switch",
            "switch: open.",
            "breaker is open",
            "Last one: switch: not asked (open) → madre: HTTP 200 after ",
            "What to do:",
            "since ",
        ):
            assert words in answer
        assert browser.run("return document.querySelector('#todo a').getAttribute('href')") == "#reason-open"
        assert "left alone until" in browser.text("#reason-open + dd")
        switch = browser.text("[data-target=switch]")
        for words in (
            "Breaker open",
            "next probe in ",
            "too many failures in a row",
            "40 %, trips at 50 % · 5 calls",
            "0 of 4 in use",
            "0 of 8 waiting",
            "3 of 3 left",
        ):
            assert words in switch
        assert "Breaker held closed" in browser.text("[data-target=madre]")
        assert "258 chats" in browser.text("#trend-whole")
        assert browser.run("return document.querySelectorAll('#latency rect').length") > 100
        assert browser.run("return document.querySelectorAll('#share .part').length") > 5
        lines = browser.run("return [...document.querySelectorAll('#degraded .path')].map(e => e.innerText)")
        assert len(lines) == 5
        assert lines[0].startswith("switch: not asked (open) → madre: HTTP 200 after ")
        assert lines[3].startswith("switch: failed, HTTP 200 after ")
        assert lines[4].startswith("switch: timeout after ")
        assert lines[4].endswith(" → local text")
        assert browser.run("return document.querySelectorAll('#degraded li:last-child .track .bad').length") == 2
        assert "madre: breaker held closed (forced_closed) for another 9 min" in browser.text("#overrides")
        fields = browser.run("return [...document.querySelectorAll('#values tr')].map(e => e.innerText)")
        assert any(row.split() == ["deadline.client", "changed", "4s", "policy.yaml:1:20"] for row in fields)
        assert all("changed" in row for row in fields)
        for width in WIDTHS:
            for scheme in SCHEMES:
                browser.looks(width, scheme, still=True)
                browser.run("document.querySelectorAll('details').forEach(each => each.open = false); scrollTo(0, 0)")
                browser.picture(pictures / f"status-{width}-{scheme}.png")
                browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
                assert browser.run("return document.documentElement.scrollWidth") == WIDTHS[width][0]
                assert browser.run(f"return {OVERFLOWING}") == []
                checked, poor = browser.run(CONTRASTS)
                assert checked > 150
                assert poor == [], (width, scheme)
        assert browser.complaints() == []

    async with town(tmp_path) as (lab, office):
        history(office)
        await broken(lab, office)
        assert (await office.post("/overrides", HOLD))[0] == 200
        await asyncio.to_thread(look, page(office))


async def test_a_candidate_beside_the_policy_is_shown_with_what_it_would_have_done(browser, tmp_path):
    candidate = tmp_path / "candidate<i>.yaml"
    candidate.write_text("targets: [{name: switch}]\n")

    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        shown = browser.text("#candidate")
        assert "from candidate<i>.yaml, for " in shown
        assert "of 7 chats 3 would have ended alike, 2 are not decided to their end." in shown
        assert "2 ended fallback and would have ended local" in shown
        assert browser.run(f"return {OVERFLOWING}") == []
        assert browser.complaints() == []

    def no_look(url: str) -> None:
        browser.open(url)
        assert browser.run("return document.querySelector('#candidate').checkVisibility()") is False

    async with town(tmp_path, shadow=str(candidate)) as (lab, office):
        for _ in range(3):
            await office.chat()
        await failing(lab, office)
        await asyncio.to_thread(look, page(office))
    async with town(tmp_path) as (_, office):
        await asyncio.to_thread(no_look, page(office))


async def test_what_is_hostile_is_shown_as_the_text_it_is(browser, tmp_path):
    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        assert MARKUP in browser.text("#overrides .author")
        assert MARKUP in browser.text("#overrides .told")
        browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert f"correlation id {MARKUP};" in browser.text("#degraded")
        assert '<script>alert("policy")</script>' in browser.text("#values")
        browser.run(
            "document.querySelector('#find').value = arguments[0]; document.querySelector('#find').dispatchEvent(new Event('input'))",
            MARKUP,
        )
        assert browser.text("#found").startswith("0 of ")
        assert MARKUP in browser.text("#warnings")
        assert browser.run("return document.querySelectorAll('img, script:not([src]), [onerror]').length") == 0
        assert browser.run("return document.title").startswith("Degraded: No target answers")
        assert browser.complaints() == []

    async with town(tmp_path) as (_, office):
        order = {"target": "switch", "kind": "off", "author": MARKUP, "reason": MARKUP, "ttl": "10m"}
        assert (await office.post("/overrides", order))[0] == 200
        await office.ask("POST", "/overrides", order | {"target": "madre"})
        await office.chat()
        at = now()
        office.sidecar._calls(CallBegan(at, -1, 4.0, MARKUP, "r"))
        office.sidecar._calls(ChatServed(at, -1, MARKUP, "failed", 500, 0.1, 0.1))
        office.sidecar._runtime.reloader.problems = (f"policy.yaml:1:1: {MARKUP}",)
        await asyncio.to_thread(look, page(office))


async def test_the_keyboard_reaches_everything_and_what_has_the_focus_is_seen(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415

    focused = "const e = document.activeElement; return [e.id || e.closest('li, section, footer, body').id + ' ' + e.tagName, getComputedStyle(e).outlineStyle]"

    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        wanted = browser.run(
            "return [...document.querySelectorAll('a[href], button, input, summary, pre[tabindex]')].filter(e => e.checkVisibility()).length"
        )
        reached = []
        for _ in range(wanted):
            browser.press(Keys.TAB)
            name, outline = browser.run(focused)
            assert outline == "solid", name
            reached.append(name)
        assert len(reached) == wanted > 8
        assert {"answer A", "find", "all"} < set(reached)
        browser.press(Keys.TAB)
        assert browser.run("return document.activeElement === document.body")  # once round
        browser.press(Keys.TAB, Keys.ENTER)
        assert browser.run("return document.activeElement.id") == "main"
        browser.run("document.querySelector('#degraded summary').focus()")
        browser.press(Keys.ENTER)
        rounds = browser.run("return performance.getEntriesByName(new URL('state', location).href).length")
        browser.until(f"performance.getEntriesByName(new URL('state', location).href).length > {rounds}")
        assert browser.run(
            "return document.querySelector('#degraded details').open"
        )  # and the focus: a round moves nothing
        assert browser.run("return document.activeElement.tagName") == "SUMMARY"
        levels = browser.run(
            "return [...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility()).map(e => Number(e.tagName[1]))"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert browser.run(
            "return ['header', 'main', 'footer'].every(name => document.querySelectorAll(`body > ${name}`).length === 1)"
        )
        assert browser.complaints() == []

    async with town(tmp_path) as (lab, office):
        await failing(lab, office)
        await asyncio.to_thread(look, page(office))


async def test_the_policy_can_be_searched_and_built_in_values_come_when_asked_for(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys  # noqa: PLC0415

    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        assert browser.text("#found").startswith("13 of ")
        browser.run("document.querySelector('#all').click()")
        rows = browser.run("return [...document.querySelectorAll('#values tr')].map(e => e.className)")
        assert len(rows) > 100
        assert rows == sorted(rows)  # changed before same
        browser.run("document.querySelector('#all').click(); document.querySelector('#find').focus()")
        browser.press(*"half_open.permits", Keys.ENTER)
        fields = browser.run(
            "return [...document.querySelectorAll('#values td:first-child')].map(e => e.innerText.trim())"
        )
        assert fields == [
            "targets[0].breaker.half_open.permits switch",
            "targets[1].breaker.half_open.permits madre",
            "breaker.half_open.permits",
        ]
        assert browser.complaints() == []

    async with town(tmp_path) as (_, office):
        await asyncio.to_thread(look, page(office))


async def test_a_sidecar_that_does_not_answer_any_more_is_said(browser, tmp_path):
    async with town(tmp_path) as (_, office):
        await office.chat()
        await asyncio.to_thread(browser.open, page(office))
        assert "switch answers" in await asyncio.to_thread(browser.text, "#answer")
    await asyncio.to_thread(browser.until, "document.body.dataset.view === 'silent'")
    said = await asyncio.to_thread(browser.text, "#answer")
    assert "The sidecar does not answer" in said
    assert "what stands below is from then" in said
    assert (await asyncio.to_thread(browser.text, "#pulse")) == "no answer"
    checked, poor = await asyncio.to_thread(browser.run, CONTRASTS)
    assert checked > 100
    assert poor == []
    assert await asyncio.to_thread(
        browser.complaints
    )  # that nobody answers is in the console: the check of the others can fail


async def test_a_hidden_tab_asks_nothing_and_a_seen_one_at_once(browser, tmp_path):
    asked = "return performance.getEntriesByName(new URL('state', location).href).length"
    hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"

    def look(url: str) -> None:
        browser.open(url)
        browser.run(hide, True)
        browser.until("!document.querySelector('#pulse').hidden")
        before = browser.run(asked)
        time.sleep(2.5)  # a round is due every 2 s: there is nothing to await where nothing happens
        assert browser.run(asked) == before
        browser.run(hide, False)
        browser.until(f"performance.getEntriesByName(new URL('state', location).href).length > {before}")

    async with town(tmp_path) as (_, office):
        await asyncio.to_thread(look, page(office))


async def test_off_loopback_the_page_asks_for_the_token_and_shows_nothing_before(browser, tmp_path):
    def look(url: str) -> None:
        browser.looks("narrow")
        browser.open(url, "gate")
        assert not browser.run("return document.querySelector('#live').checkVisibility()")
        browser.run("document.querySelector('#token').focus()")
        browser.press(*"wrong\n")
        browser.until("document.querySelector('#gate-why').textContent.includes('does not pass')")
        assert browser.run("return document.documentElement.scrollWidth") == 390
        browser.run("document.querySelector('#token').focus()")
        browser.press(*f"{ADMIN}\n")
        browser.until("document.body.dataset.view === 'live'")
        assert browser.run("return [sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
        assert ADMIN not in browser.run("return document.documentElement.outerHTML + location.href")
        browser.driver.refresh()
        browser.until("document.body.dataset.view === 'live'")
        browser.run("document.querySelector('#forget').click()")
        browser.until("document.body.dataset.view === 'gate'")
        assert browser.run("return sessionStorage.length") == 0

    async with town(tmp_path, at="0.0.0.0:0") as (_, office):
        await asyncio.to_thread(look, f"http://127.0.0.1:{office.sidecar.serving.admin.port}/")


async def test_what_was_said_of_the_outage_is_gone_when_the_sidecar_answers_again(browser, tmp_path):
    def look(url: str) -> None:
        browser.looks()
        browser.open(url)
        before = [browser.text(part) for part in ("#word", "#headline", "#reason", "#todo")]
        browser.run("window.really = window.fetch; window.fetch = () => Promise.reject(new TypeError('unplugged'))")
        browser.until("document.body.dataset.view === 'silent'")
        assert "log" in browser.text("#todo")
        browser.run("window.fetch = window.really")
        browser.until("document.body.dataset.view === 'live'")
        assert [browser.text(part) for part in ("#word", "#headline", "#reason", "#todo")] == before
        assert "Runbook: " in before[-1]

    async with town(tmp_path) as (lab, office):
        await failing(lab, office)
        await asyncio.to_thread(look, page(office))


async def test_markup_that_somebody_did_put_into_the_page_would_still_do_nothing(browser, tmp_path):
    inject = """
        const stopped = [];
        try { document.body.innerHTML = '<b>x</b>'; } catch { stopped.push('markup'); }
        const script = document.createElement('script');
        try { script.text = 'window.ran = 1'; document.body.append(script); } catch { stopped.push('script'); }
        document.body.setAttribute('style', 'color: red');
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/x';
        document.body.append(image);
        return stopped;
    """

    def look(url: str) -> None:
        browser.open(url)
        assert browser.run(inject) == ["markup", "script"]
        browser.until("violations.some(each => each.startsWith('img-src'))")
        assert any(each.startswith("style-src-attr") for each in browser.run("return violations"))
        assert browser.run("return window.ran") is None
        assert browser.complaints()

    async with town(tmp_path) as (_, office):
        await asyncio.to_thread(look, page(office))
