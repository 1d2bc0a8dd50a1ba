"""Forward auth: the token is judged as at the data port, whoever asks and however, and nothing but yes and no is told."""

from __future__ import annotations

import asyncio

import pytest
from canary import ADMIN
from kitchen import TOKEN
from office import standing

YES, NONE, WRONG = 200, 401, 403
QUERY = "auth: {sources: [header, bearer, query]}\n"


@pytest.fixture
async def desk(tmp_path, request):
    path = tmp_path / "policy.yaml"
    path.write_text("deadline: {client: 5s}\n" + getattr(request, "param", ""))
    async with standing(path) as office:
        yield office


async def ask(desk, path="/auth", method="GET", **fields):
    return await asked(desk, f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()))


async def asked(desk, *lines):
    """The status of the answer to a head that is sent as it stands."""
    return (await answered(desk, *lines))[0]


async def answered(desk, *lines):
    place = desk.sidecar.serving.admin
    reader, writer = await asyncio.open_connection(place.host, place.port)
    writer.write("\r\n".join([*lines, "Host: elsewhere.test", "Connection: close", "", ""]).encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head.decode().lower(), body.decode()


@pytest.mark.parametrize(
    "path", ["/auth", "/auth/", "/auth/operator/api/x?y=z", "/auth//x/../%2e%2e/%zz%0a", "/auth/../metrics"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_every_path_under_it_and_every_method_are_the_same_question(desk, path, method):
    assert await ask(desk, path, method) == NONE
    assert await ask(desk, path, method, **{"X-VX11-Token": ""}) == NONE
    assert await ask(desk, path, method, **{"X-VX11-Token": TOKEN + "x"}) == WRONG
    assert await ask(desk, path, method, **{"X-VX11-Token": TOKEN}) == YES


@pytest.mark.parametrize("path", ["/authx", "/Auth", "/x/auth"])
async def test_what_only_looks_like_it_is_no_question(desk, path):
    assert await ask(desk, path, **{"X-VX11-Token": TOKEN}) == 404


async def test_a_body_that_is_announced_is_not_waited_for(desk):
    assert await ask(desk, method="POST", **{"X-VX11-Token": TOKEN, "Content-Length": "1000000"}) == YES


async def test_neither_another_place_nor_the_admin_token_lets_anybody_pass(desk):
    assert await ask(desk, "/auth?token=" + TOKEN) == NONE
    assert await ask(desk, Authorization="Bearer " + TOKEN) == NONE
    assert await ask(desk, **{"X-Original-URI": "/x?token=" + TOKEN}) == NONE
    assert await ask(desk, **{"X-VX11-Token": ADMIN}) == WRONG
    assert await ask(desk, **{"X-VX11-Admin-Token": ADMIN}) == NONE


async def test_two_fields_of_which_two_readers_might_take_different_ones_do_not_pass(desk):
    head = "GET /auth HTTP/1.1"
    assert await asked(desk, head, f"X-VX11-Token: {TOKEN}", "x-vx11-token: other") == WRONG
    assert await asked(desk, head, "X-VX11-Token: ", f"x-vx11-token: {TOKEN}") == WRONG
    assert await asked(desk, head, f"X-VX11-Token: {TOKEN}", "Authorization: a", "Authorization: b") == WRONG


@pytest.mark.parametrize("desk", [QUERY], indirect=True)
async def test_the_places_are_those_of_the_policy_and_the_first_that_holds_a_token_decides(desk):
    assert await ask(desk, Authorization="Bearer " + TOKEN) == YES
    assert await ask(desk, Authorization="Bearer " + TOKEN, **{"X-VX11-Token": "wrong"}) == WRONG
    for name in ("X-Original-URI", "X-Forwarded-Uri"):  # nginx; Traefik and Caddy
        assert await ask(desk, **{name: f"/operator/session/1?a=b&token={TOKEN}"}) == YES
        assert await ask(desk, **{name: "/operator/session/1?token=wrong"}) == WRONG
        assert await ask(desk, **{name: "/operator/session/1"}) == NONE
    assert await ask(desk, "/auth/operator/session/1?token=" + TOKEN) == YES  # Envoy
    assert await ask(desk, "/auth/operator/session/1?token=wrong") == WRONG


@pytest.mark.parametrize("desk", [QUERY], indirect=True)
async def test_a_refusal_is_worded_as_on_the_chat_path(desk):
    fields = ("X-Correlation-Id: corr-1", "Origin: http://localhost:3000")
    status, head, body = await answered(desk, "GET /auth HTTP/1.1", *fields)
    assert (status, body) == (
        401,
        '{"detail":"auth_required","error":"auth_required","status_code":401,"correlation_id":"corr-1"}',
    )
    for line in (
        "www-authenticate: vx11-token, bearer",
        "x-correlation-id: corr-1",
        "access-control-allow-origin: http://localhost:3000",
        "cache-control: no-store",
        "content-type: application/json",
    ):
        assert line in head.splitlines()
    status, _, body = await answered(desk, "GET /auth HTTP/1.1", "X-VX11-Token: wrong", *fields)
    assert (status, body) == (
        403,
        '{"detail":"forbidden","error":"forbidden","status_code":403,"correlation_id":"corr-1"}',
    )


async def test_what_is_answered_is_counted_and_a_token_is_told_to_nobody(desk):
    for fields, times in (({"X-VX11-Token": TOKEN}, 3), ({}, 2), ({"X-VX11-Token": "wrong"}, 1)):
        for _ in range(times):
            await ask(desk, **fields)
    counted = {
        result: await desk.metric("forward_auth_total", result=result) for result in ("passed", "missing", "wrong")
    }
    assert counted == {"passed": 3, "missing": 2, "wrong": 1}
    assert await desk.metric("auth_rejections_total", reason="wrong") == 0  # those are chats


async def test_a_reload_is_obeyed_by_the_next_question(desk):
    assert await ask(desk, Authorization="Bearer " + TOKEN) == NONE
    desk.path.write_text("deadline: {client: 5s}\n" + QUERY)
    assert (await desk.post("/reload"))[0] == 200
    assert await ask(desk, Authorization="Bearer " + TOKEN) == YES
