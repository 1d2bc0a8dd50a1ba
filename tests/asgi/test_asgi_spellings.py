"""Spellings nobody thought of, with FastAPI's own routing as the judge: no handler of chat is reached without a token."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import pytest
from fastapi import FastAPI, Request
from hypothesis import example, given
from hypothesis import strategies as st
from scripts import CHAT, around, ask, body, http

V1, COMMANDS = "/operator/api/v1/chat", CHAT + "/commands"


@pytest.fixture(scope="module")
def app():
    app = FastAPI()
    app.state.reached = 0

    async def chat(_: Request):
        app.state.reached += 1

    for path in (CHAT, V1, COMMANDS):
        app.post(path)(chat)
    return app


def spelt(character: str) -> st.SearchStrategy[str]:
    """A character as somebody may write it: itself, escaped once or twice, in the other case."""
    code = ord(character)
    return st.sampled_from(
        [character] * 8
        + [f"%{code:02x}", f"%{code:02X}", f"%25{code:02x}", character.upper(), f"%{ord(character.upper()):02x}"]
    )


BETWEEN = st.sampled_from(
    [""] * 40
    + [
        "/",
        "//",
        "/.",
        "/./",
        "/x/..",
        "/../",
        ";a=b",
        "%00",
        "%0a",
        "%0A",
        "%20",
        "%2f",
        "\\",
        "%c0%af",
        "#",
        "%23",
        "?",
    ]
)
PATHS = st.sampled_from([CHAT, V1, COMMANDS]).flatmap(
    lambda path: st.tuples(*(st.tuples(BETWEEN, spelt(character)) for character in path), BETWEEN).map(
        lambda parts: "".join(piece for part in parts for piece in part)
    )
)


@given(
    asked=PATHS,
    root=st.sampled_from(["", "/gw", "/g w", "/operator"]),
    raw=st.booleans(),
    method=st.sampled_from(["POST"] * 5 + ["post", "Post"]),
)
@example(asked=CHAT + "%0a", root="", raw=True, method="POST")
@example(asked="/api/chat", root="/operator", raw=True, method="POST")
def test_no_spelling_reaches_chat_without_a_token(app, asked, root, raw, method):
    """As uvicorn tells it, with and without a raw path."""
    target, _, query = asked.partition("?")
    path = root + unquote(target)
    scope = http(path, method, token=None, root_path=root, query_string=query.encode())
    scope["raw_path"] = (root + target).encode() if raw else None
    app.state.reached = 0

    status = asyncio.run(ask(around(app), scope, body())).status
    assert app.state.reached == 0
    assert status in (307, 400, 401, 404, 405)


def test_the_judge_would_see_it(app):
    """The same application alone is reached by several of these spellings."""
    app.state.reached = 0
    for path in (CHAT, V1, COMMANDS, CHAT + "\n"):
        asyncio.run(ask(app, http(path, token=None)))
    assert app.state.reached == 4
