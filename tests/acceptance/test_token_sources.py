"""A token is accepted from where the policy looks for one, from nowhere else, and no head that was remembered lends one to another."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from canary import TOKEN, WRONG

from tests.acceptance.running import CHAT, LINK, Standing, standing
from tests.corpus.raw import Gateway, serving

TOKENS = {LINK: "link", "VX11_SIDECAR_TOKENS": TOKEN}
WAYS = ("header", "bearer", "query")
GUARDED = (
    CHAT,
    "/operator/api/ch%61t",
    "/operator/api/chat/",
    "/operator/api/chat/commands",
)  # the last two are relayed
BODY = json.dumps({"message": "hola", "command": "status"})


def bringing(way: str, token: str, path: str = CHAT, n: int = 0) -> str:
    """A request with a name of its own and a query of its own, so that heads like it are known by their shape."""
    query = f"?n={n}" + (f"&token={token}" if way == "query" else "")
    line = {"header": f"X-VX11-Token: {token}\r\n", "bearer": f"Authorization: Bearer {token}\r\n"}.get(way, "")
    return (
        f"POST {path}{query} HTTP/1.1\r\nHost: h\r\n{line}X-Request-Id: {n}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
    )


async def statuses(stands: Standing, requests: list[str]) -> list[int]:
    """Each on a connection of its own: who is refused loses it."""
    return [await status(stands, each) for each in requests]


async def status(stands: Standing, request: str) -> int:
    host, _, port = stands.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    writer.write(request.encode())
    try:
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize("sources", [("header",), ("bearer",), ("query",), ("query", "bearer", "header")])
async def test_each_source_opens_where_it_is_named(sources):
    policy = f"auth: {{sources: [{', '.join(sources)}]}}\nguards: {{anonymous_rate_limit: 10000 per 1s}}"
    async with standing(policy=policy, environ=TOKENS) as stands:
        for path in GUARDED:
            relayed = path in GUARDED[2:]  # past us, the gateway looks into its own header and knows another token
            for way in WAYS:
                right = await statuses(stands, [bringing(way, TOKEN, path, n) for n in range(5)])
                wrong = await statuses(stands, [bringing(way, WRONG, path, n) for n in range(5, 8)])
                none = await statuses(stands, [bringing("", "", path, n) for n in range(8, 11)])
                if way not in sources:
                    assert (set(right), set(wrong)) == ({401}, {401})
                elif relayed:
                    assert set(right) <= {401, 403, 503}  # the gateway's own word
                    assert set(wrong) == {403}
                else:
                    assert (set(right), set(wrong)) == ({200}, {403})
                assert set(none) == {401}
        answer = await stands.ask("POST", stands.url + CHAT, json={"message": "hola"})
        challenges = {"header": "VX11-Token", "bearer": "Bearer", "query": "VX11-Token"}
        assert answer.headers["WWW-Authenticate"] == (
            challenges[sources[0]] if len(sources) == 1 else "VX11-Token, Bearer"
        )


async def test_the_first_source_that_holds_a_token_decides():
    async with standing(policy="auth: {sources: [bearer, header, query]}", environ=TOKENS) as stands:

        async def chat(query: str = "", **fields: str) -> int:
            sent = {name.replace("_", "-"): value for name, value in fields.items()}
            return (await stands.ask("POST", stands.url + CHAT + query, json={"message": "hola"}, headers=sent)).status

        right, wrong = f"Bearer {TOKEN}", f"Bearer {WRONG}"
        assert await chat(Authorization=right, X_VX11_Token=WRONG) == 200
        assert await chat(Authorization=wrong, X_VX11_Token=TOKEN) == 403
        assert await chat(Authorization="Basic dTpw", X_VX11_Token=TOKEN) == 200
        assert await chat(f"?token={WRONG}", Authorization="Bearer", X_VX11_Token=TOKEN) == 200
        assert await chat(f"?token={TOKEN}", Authorization="Bearer", X_VX11_Token="") == 200
        assert await chat(f"?token={TOKEN}", X_VX11_Token=WRONG) == 403
        assert await chat(f"?token={WRONG}&token={TOKEN}") == 403
        assert await chat(f"?tok%65n={TOKEN}") == 200


async def test_no_target_ever_sees_a_clients_token():
    answer = json.dumps({"status": "ok", "reply": "hola", "engine_used": "m"}).encode()
    switch = Gateway()
    switch.reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(answer),
        answer,
    )
    async with serving(switch) as port:
        policy = "auth: {sources: [header, bearer, query]}"
        async with standing(policy=policy, environ=TOKENS, switch=f"http://127.0.0.1:{port}") as stands:
            for n, way in enumerate(WAYS):
                assert await status(stands, bringing(way, TOKEN, n=n)) == 200
    assert len(switch.done) == 3
    assert TOKEN.encode() not in switch.raw
    assert switch.raw.lower().count(b"x-vx11-token: link") == 3
