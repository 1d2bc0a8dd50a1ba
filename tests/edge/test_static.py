"""The files of the status page: served to the Hosts of the policy, never with data, and such that a browser runs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_admin import SECRET, Port

from sidecar.core.vocabulary import Reason
from sidecar.edge.admin import static
from sidecar.edge.admin.advice import ADVICE, advice
from sidecar.edge.admin.application import admin_application
from sidecar.edge.admin.desk import Desk
from sidecar.edge.token import Tokens

FOLDER = Path(static.__file__).with_name("page")
KINDS = {"/": "text/html", "/status.js": "text/javascript", "/status.css": "text/css", "/icon.svg": "image/svg+xml"}


@pytest.fixture
def open_port(aiohttp_client):
    async def opened(port):
        return await aiohttp_client(admin_application(Desk(port.office)))

    return opened


@pytest.mark.parametrize("path", KINDS)
async def test_the_page_needs_a_host_of_the_policy_and_no_token(open_port, path):
    client = await open_port(Port(token=Tokens([SECRET])))
    got = await client.get(path)
    assert (got.status, got.content_type, got.charset) == (200, KINDS[path], "utf-8")
    assert (await client.get(path, headers={"Host": "evil.test"})).status == 403


@pytest.mark.parametrize("path", KINDS)
async def test_a_browser_is_told_to_run_nothing_but_the_page_itself(open_port, path):
    got = await (await open_port(Port())).get(path)
    policy = dict(part.strip().split(" ", 1) for part in got.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'", "img-src": "'self'", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
    }  # fmt: skip
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Referrer-Policy"] == "no-referrer"
    assert got.headers["Cache-Control"] == "no-cache"
    assert got.headers["Server"] == "vx11-sidecar"


async def test_a_file_that_is_known_is_not_sent_again(open_port):
    client = await open_port(Port())
    tag = (await client.get("/status.js")).headers["ETag"]
    for offered in (tag, f'"other", W/{tag}', "*"):
        got = await client.get("/status.js", headers={"If-None-Match": offered})
        assert (got.status, await got.read(), got.headers["ETag"]) == (304, b"", tag)
        assert "Content-Security-Policy" in got.headers
    assert (await client.get("/status.js", headers={"If-None-Match": '"other"'})).status == 200
    assert (await client.get("/", headers={"If-None-Match": tag})).status == 200


def test_nothing_is_ever_put_into_the_page_as_markup():
    script = (FOLDER / "status.js").read_text()
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "eval(",
        "Function(",
        "srcdoc",
        "setHTML",
        "import(",
    ):
        assert way not in script


def test_the_page_refers_to_nothing_outside_and_holds_no_script_or_style_inside():
    class Reader(HTMLParser):
        refs, inline = [], []

        def handle_starttag(self, tag, attributes):
            for name, value in attributes:
                if name in ("src", "href"):
                    self.refs.append(value)
                if name == "style" or name.startswith("on"):
                    self.inline.append((tag, name))
            if tag == "style" or (tag == "script" and "src" not in dict(attributes)):
                self.inline.append((tag, None))

    reader = Reader()
    reader.feed((FOLDER / "index.html").read_text())
    assert reader.inline == []
    assert sorted(ref for ref in reader.refs if not ref.startswith("#")) == ["icon.svg", "status.css", "status.js"]
    for name in ("status.js", "status.css"):
        urls = set(re.findall(r"https?://[^\s\"'`)]+|url\([^)]*\)", (FOLDER / name).read_text()))
        assert urls <= {"http://www.w3.org/2000/svg", "url(#hatch)"}


async def test_every_reason_there_is_has_an_entry_to_link_to(open_port):
    text = await (await (await open_port(Port())).get("/")).text()
    assert static.RUNBOOK not in text
    for reason in Reason:
        assert f'id="reason-{reason}"' in text
        assert ADVICE[reason].means.replace("'", "&#x27;") in text
    assert set(ADVICE) == set(Reason)
    assert advice(None) is None
