"""Tokens, message texts, sessions, query strings and keys stay out of everything that a process writes or shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from canary import KEY, MESSAGE, QUERY, SESSION, TOKEN, WRONG, keep

from tests.acceptance.conftest import Spawn
from tests.acceptance.running import CHAT, LINK, LabProcess, ask, chat

CANARIES = (TOKEN, WRONG, MESSAGE, "canary message", "\\u00f1and\\u00fa", "ñandú", SESSION, QUERY, KEY)


JSON = {"Content-Type": "application/json"}
ANYWHERE: list[tuple[str, dict[str, str]]] = [
    (f"?token={TOKEN}", JSON),
    (f"?token={WRONG}&x={QUERY}", JSON),
    ("", JSON | {"Authorization": f"Bearer {TOKEN}"}),
    ("", JSON | {"Authorization": f"Bearer {WRONG}"}),
    ("", JSON | {"Authorization": f"Basic {WRONG}"}),
    ("", JSON | {"Referer": f"http://h/?token={TOKEN}", "Cookie": f"token={TOKEN}"}),
]


def disturb(url: str, link: str) -> None:
    """Everything that can be said wrong, with canaries in it."""
    fields = {"X-VX11-Token": TOKEN, "Content-Type": "application/json"}
    statuses = [
        chat(url, TOKEN, MESSAGE, session_id=SESSION).status,
        chat(url, link, MESSAGE, session_id=SESSION, correlation_id=f"{QUERY} no id").status,
        chat(url, WRONG, MESSAGE).status,
        chat(url, None, MESSAGE).status,
        chat(url, TOKEN, MESSAGE * 400, session_id=SESSION).status,
        chat(url, TOKEN, MESSAGE, metadata=[MESSAGE]).status,
        ask("POST", url + CHAT, f'{{"message": "{MESSAGE}'.encode(), fields).status,
        ask("POST", url + CHAT, b'{"message": "' + MESSAGE.encode() + b'\\ud800"}', fields).status,
        ask("POST", f"{url}{CHAT}?token={QUERY}", b"{}", fields).status,
        ask("GET", f"{url}/debug/valid-tokens?token={QUERY}", headers=fields).status,
        ask("GET", f"{url}/operator/api/events/stream?token={QUERY}", headers=fields).status,
        ask("GET", f"{url}/operator/session/{SESSION}", headers=fields).status,
    ]
    assert statuses == [200, 200, 403, 401, 413, 422, 422, 422, 422, 403, 401, 403]
    assert [chat(url, TOKEN, MESSAGE, session_id=SESSION).status for _ in range(12)][-1] == 429


def send_again(url: str) -> list[int]:
    """Chats under one key: twice the same, then another, then under what is no key."""
    fields = JSON | {"X-VX11-Token": TOKEN, "Idempotency-Key": KEY}
    same, other = (f'{{"message": "{MESSAGE} {n}", "session_id": "{SESSION}-again"}}'.encode() for n in range(2))
    sent = [(same, fields), (same, fields), (other, fields), (same, fields | {"Idempotency-Key": KEY * 20})]
    return [ask("POST", url + CHAT, body, head).status for body, head in sent]


EVERYWHERE = """
auth: {sources: [header, bearer, query]}
relay: {deny: [/debug/*]}
idempotency: {mode: "on"}
targets: [{name: switch, effects: dedup}, {name: madre}]
"""


@pytest.mark.parametrize("policy", ["", EVERYWHERE], ids=["default", "tokens anywhere, and keys"])
def test_nothing_a_process_writes_or_shows_holds_a_secret(
    spawn: Spawn, lab_process: LabProcess, tmp_path: Path, figures: list[str], policy: str
) -> None:
    journal, file = tmp_path / "journal", tmp_path / "policy.yaml"
    file.write_text(policy)
    tokens = {LINK: lab_process.token, "VX11_SIDECAR_TOKENS": TOKEN}
    with spawn(
        "serve",
        *lab_process.flags(),
        "--policy",
        str(file),
        "--journal",
        str(journal),
        "--log-level",
        "debug",
        **tokens,
    ) as process:
        ready = process.ready()
        disturb(f"http://{ready['listen']}", lab_process.token)
        assert chat(f"http://{ready['listen']}", TOKEN).json["provider"] == "switch"
        assert send_again(f"http://{ready['listen']}") == ([200, 200, 422, 400] if policy else [200] * 4)
        brought = [
            ask("POST", f"http://{ready['listen']}{CHAT}{query}", b'{"message":"a"}', fields).status
            for query, fields in ANYWHERE
        ]
        assert brought == ([200, 403, 200, 403, 401, 401] if policy else [401] * 6)
        shown = {
            path: ask("GET", f"http://{ready['admin']}/{path}").raw for path in ("metrics", "state", "readyz?verbose")
        }
        assert process.end() == 0
        shown |= {"stdout": process.stdout, "stderr": process.stderr}
    for name, text in shown.items():
        keep(name.replace("?", "-"), text)
    shown |= {path.name: path.read_text() for path in journal.iterdir()}
    assert shown["stdout"]
    assert shown["stderr"].count('"event":"chat"') >= 2
    assert any(name.endswith(".jsonl") and '"in":"call"' in text for name, text in shown.items())
    figures.append(
        f"secrets: {sum(map(len, shown.values()))} characters in {len(shown)} places hold none of {len(CANARIES) + 1} canaries"
    )
    found = [
        (name, canary) for name, text in shown.items() for canary in (*CANARIES, lab_process.token) if canary in text
    ]
    assert found == []
