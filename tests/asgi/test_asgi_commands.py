"""Chats that come as commands, inside an application: told apart by their bodies, and everything else goes on from its first byte."""

from __future__ import annotations

import asyncio

from scripts import CHAT, Client, around, ask, body, http, lived, until

APART = "deadline: {client: 1s, margin: 100ms}\nintercept: {commands: intercept}\n"
COMMANDS = CHAT + "/commands"
SPOKEN = b'{"command": "message", "message": "hi"}'


async def test_a_command_that_is_a_chat_is_answered_and_another_goes_on_from_its_first_byte(app):
    async with lived(around(app, APART)) as sidecar:
        got = await ask(sidecar, http(COMMANDS, headers=[(b"content-length", b"%d" % len(SPOKEN))]), body(SPOKEN))
        assert got.said["provider"] == "local"
        assert not app.given
        for pieces in ([body(b'{"command": "status"}')], [body(b'{"comm', more=True), body(b'and": 1}')]):
            app.read.clear()
            content = b"".join(piece["body"] for piece in pieces)
            got = await ask(sidecar, http(COMMANDS, headers=[(b"content-length", b"%d" % len(content))]), *pieces)
            assert got.content == content
            assert app.read == pieces  # the very messages
        got = await ask(sidecar, http(COMMANDS, token=None), body(SPOKEN))
        assert (got.status, got.asked) == (401, 0)


async def test_a_command_too_large_or_too_slow_for_a_chat_loses_nothing_on_its_way_to_the_application(app):
    policy = APART + "guards: {max_body: 1KiB}\nrelay: {timeouts: {head: 50ms}}\n"
    async with lived(around(app, policy)) as sidecar:
        large = [body(b"x" * 600, more=True), body(b"y" * 600, more=True), body(b"z")]
        chunked = [(b"transfer-encoding", b"chunked")]
        got = await ask(sidecar, http(COMMANDS, headers=chunked), *large)
        assert got.content == b"x" * 600 + b"y" * 600 + b"z"
        late = asyncio.Event()
        pieces = [body(b"{", more=True), body(b"}")]

        async def slow():
            if len(pieces) == 1:
                await late.wait()
            return pieces.pop(0)

        client = Client()
        asking = asyncio.create_task(sidecar(http(COMMANDS, headers=chunked), slow, client.send))
        await until(lambda: len(app.given) == 2)
        late.set()
        await asking
        assert client.content == b"{}"


async def test_a_command_whose_client_leaves_is_the_applications_to_end(app):
    async with lived(around(app, APART)) as sidecar:
        left = [body(b"{", more=True), {"type": "http.disconnect"}]
        await ask(sidecar, http(COMMANDS, headers=[(b"content-length", b"9")]), *left)
        assert app.read == left


async def test_over_http2_a_command_need_not_say_that_it_has_a_body(app):
    async with lived(around(app, APART)) as sidecar:
        got = await ask(sidecar, http(COMMANDS, http_version="2"), body(SPOKEN))
        assert got.said["provider"] == "local"
        got = await ask(sidecar, http(COMMANDS), body(b""))  # over 1.1 there is none, then
        assert len(app.given) == 1


async def test_commands_count_among_the_chats_while_they_are_read(app):
    async with lived(around(app, APART + "overload: {chats: 1}\n")) as sidecar:
        client = Client(body(b"{", more=True))
        head = [(b"content-length", b"17")]
        asking = asyncio.create_task(sidecar(http(headers=head), client.receive, client.send))
        await until(lambda: sidecar.state()["under_way"]["chat"])
        got = await ask(sidecar, http(COMMANDS, headers=head), body(SPOKEN))
        assert (got.status, got.said) == (503, {"detail": "overloaded"})
        client.leave()
        await asking
    assert not app.given
