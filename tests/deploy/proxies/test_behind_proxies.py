"""The configurations of ``deploy/proxies`` in the real proxies, with the checks that the sidecar passes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deploy.proxies.checks import CHECKS, Check
from tests.deploy.proxies.peers import PEERS, Peer, found, moved, placed
from tests.deploy.proxies.picture import ALONE, INSIDE, picture, token
from tests.deploy.proxies.report import checked, table

EVERY = pytest.mark.parametrize(
    "peer", [ALONE, INSIDE, *PEERS], ids=lambda peer: peer if isinstance(peer, str) else peer.name
)
BEHIND = pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)


def demand(peer: Peer | str) -> None:
    if not isinstance(peer, str) and found(peer) is None:
        pytest.skip(f"{peer.name} is not installed (make deps)")


async def hold(peer: Peer | str, checks: Sequence[Check], where: Path) -> None:
    demand(peer)
    said = await checked(peer, checks, where)
    assert not [f"{name}: {what}" for name, what in said.items() if what not in ("ok", "-")]


@EVERY
async def test_what_the_sidecar_does_alone_it_does_behind_a_proxy_and_inside_an_application(
    peer: Peer | str, tmp_path: Path
) -> None:
    await hold(peer, [check for check in CHECKS if not check.slow], tmp_path)


@pytest.mark.slow
@EVERY
async def test_nobody_gives_up_before_the_sidecar(peer: Peer | str, tmp_path: Path) -> None:
    await hold(peer, [check for check in CHECKS if check.slow], tmp_path)


@BEHIND
async def test_chat_alone_fails_over_where_an_operator_wants_that(peer: Peer, tmp_path: Path) -> None:
    demand(peer)
    async with picture(peer.failing_over(), tmp_path) as at:
        said = await at.chat(token())
        assert said.json.get("provider") == "switch", said
        await at.sidecar.close()
        await at.admin.close()
        async with asyncio.timeout(10):
            while (said := await at.chat(token())).status != 200:  # noqa: ASYNC110 - an answer is all there is to look at
                await asyncio.sleep(0.2)
        assert "provider" not in said.json  # the gateway's own
        assert said.json["degraded"] is True
        at.forget()
        for target in ("/operator/api/chat;x", "/debug/valid-tokens"):
            assert (await at.chat(token(), target=target)).status >= 500
        assert not at.gateway.heads


async def test_a_proxy_that_reads_an_odd_spelling_as_it_stands_is_found_out(tmp_path: Path) -> None:
    nginx = PEERS[0]
    demand(nginx)
    naive = nginx._replace(changes=(("default odd;", "default plain;"),))
    names = ("chat", "spellings", "made up")
    said = await checked(naive, [check for check in CHECKS if check.name in names], tmp_path)
    assert said["chat"] == "ok"
    assert "/operator/api/%63hat'] went around the sidecar" in said["spellings"]
    assert said["made up"] != "ok"


def test_a_file_that_names_another_address_is_no_longer_the_one_that_is_tried(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        moved("server 127.0.0.1:8123;", {"8000": 1})
    with pytest.raises(ValueError, match="nginx: its files do not name 8123"):
        placed(PEERS[0], tmp_path, {"8080": 1, "8000": 2, "8010": 3, "9180": 4, "8123": 5})


def test_a_check_that_fails_is_told_in_the_table() -> None:
    rows = {"sidecar": {"chat": "ok", "down": "-"}, "nginx": {"chat": "Traceback …", "down": "ok"}}
    chat, *_, down = CHECKS
    assert table(rows, (chat, down)).splitlines() == ["         chat   down", "sidecar  ok     -", "nginx    WRONG  ok"]
