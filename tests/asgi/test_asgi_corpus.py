"""The corpus of spellings, inside an application."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from scripts import around, ask, http, lived

CORPUS = Path(__file__).parents[1] / "corpus" / "path_aliases.json"
CASES = json.loads(CORPUS.read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["target"])
async def test_every_known_spelling_is_judged_as_at_the_data_port(app, case):
    """As h11-uvicorn tells it: the raw path up to the query, and the same decoded."""
    raw, _, query = case["target"].encode().partition(b"?")
    scope = http(unquote(raw.decode()), token=None, raw_path=raw, query_string=query)
    async with lived(around(app, "relay: {deny: [/debug/*, /exact]}\n")) as sidecar:
        got = await ask(sidecar, scope)
        kind = {"vx11-alias": "chat", "vx11-indirect": "alias", "alias-or-reject": "reject"}.get(
            case["class"], case["class"]
        )
        statuses = {"chat": (401,), "alias": (401,), "reject": (400,), "deny": (403,), "other": (200,)}[kind]
        assert got.status in statuses
        assert bool(app.given) is (kind == "other")
