"""Tokens, message texts, sessions and query strings stay out of everything that a process writes or shows."""

from __future__ import annotations

from pathlib import Path

from canary import MESSAGE, QUERY, SESSION, TOKEN, WRONG, keep

from tests.acceptance.conftest import Spawn
from tests.acceptance.running import CHAT, LINK, LabProcess, ask, chat

CANARIES = (TOKEN, WRONG, MESSAGE, "canary message", "\\u00f1and\\u00fa", "ñandú", SESSION, QUERY)


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


def test_nothing_a_process_writes_or_shows_holds_a_secret(
    spawn: Spawn, lab_process: LabProcess, tmp_path: Path, figures: list[str]
) -> None:
    journal = tmp_path / "journal"
    tokens = {LINK: lab_process.token, "VX11_SIDECAR_TOKENS": TOKEN}
    with spawn("serve", *lab_process.flags(), "--journal", str(journal), "--log-level", "debug", **tokens) as process:
        ready = process.ready()
        disturb(f"http://{ready['listen']}", lab_process.token)
        assert chat(f"http://{ready['listen']}", TOKEN).json["provider"] == "switch"
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
