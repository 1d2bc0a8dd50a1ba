"""When the sidecar lives: within the application's lifespan, from the first chat without one, and never a moment longer than that."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
from pathlib import Path

import pytest
import uvloop
from canary import TOKEN
from scripts import CHAT, ENVIRON, NOBODY, Application, Server, around, ask, body, http, lived, until

from sidecar.asgi import ChatSidecar
from sidecar.edge import reload as reload_module

FAST = "deadline: {client: 1s, margin: 100ms}\n"


class Living(Application):
    """An application that knows lifespan; ``told`` is what it did and what the sidecar was then."""

    def __init__(self, failing: str | None = None):
        super().__init__()
        self.told = []
        self.failing = failing
        self.sidecar = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        for word in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{word}"
            self.told.append((word, self.sidecar.readiness().blocked_by))
            if self.failing == word:
                await send({"type": f"lifespan.{word}.failed", "message": "the application's own"})
                raise RuntimeError("the application's own")
            await send({"type": f"lifespan.{word}.complete"})


def living(failing=None, **options):
    app = Living(failing)
    app.sidecar = around(app, FAST, **options)
    return app


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def standing():
    """What a life could leave: tasks, threads, descriptors."""
    gc.collect()
    return len(asyncio.all_tasks()), threading.active_count(), descriptors()


async def test_it_lives_before_the_application_does_and_until_after_it():
    app = living()
    async with lived(app.sidecar):
        assert app.told == [("startup", None)]
        assert (await ask(app.sidecar)).said["provider"] == "local"
    assert app.told == [("startup", None), ("shutdown", None)]
    assert app.sidecar.readiness().blocked_by == "starting"


async def test_a_life_leaves_nothing_and_can_be_lived_again(tmp_path):
    app = living(journal=str(tmp_path))
    before = standing()
    for number in range(1, 4):
        async with lived(app.sidecar):
            assert (await ask(app.sidecar)).status == 200
            assert standing() > before
        await until(lambda: standing() == before)
        assert len(app.told) == 2 * number


async def test_an_application_that_does_not_know_lifespan_is_answered_for():
    app = Application()
    async with lived(around(app, FAST)) as sidecar:
        assert (await ask(sidecar)).said["provider"] == "local"
        assert (await ask(sidecar, http("/x"))).status == 200


async def test_an_application_that_only_returns_from_lifespan_is_answered_for():
    async def silent(scope, receive, send):
        assert scope["type"] == "lifespan"

    async with lived(around(silent, FAST)) as sidecar:
        assert (await ask(sidecar)).said["provider"] == "local"


@pytest.mark.parametrize("word", ["startup", "shutdown"])
async def test_an_application_that_fails_says_so_itself_and_we_end(word):
    app = living(word)
    server = Server(app.sidecar)
    said = await server.say("startup")
    if word == "shutdown":
        assert said["type"] == "lifespan.startup.complete"
        said = await server.say("shutdown")
    assert said == {"type": f"lifespan.{word}.failed", "message": "the application's own"}
    with pytest.raises(RuntimeError, match="the application's own"):
        await server.task
    assert app.sidecar.readiness().blocked_by == "starting"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_keeps_us_from_starting_is_said_to_the_server_and_the_application_does_not_start(tmp_path):
    taken = tmp_path / "file"
    taken.write_text("")
    app = living(journal=str(taken / "journal"))
    server = Server(app.sidecar)
    said = await server.say("startup")
    assert said["type"] == "lifespan.startup.failed"
    assert said["message"].startswith("the chat sidecar cannot start: [Errno ")
    await server.task
    assert app.told == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_without_lifespan_a_chat_that_cannot_be_answered_is_a_500_and_the_reason_is_in_the_log(tmp_path, caplog):
    taken = tmp_path / "file"
    taken.write_text("")
    app = living(journal=str(taken / "journal"))
    assert (await ask(app.sidecar)).status == 500
    assert (await ask(app.sidecar, http("/x"))).status == 200
    assert "chat cannot be answered: [Errno " in caplog.text


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_without_lifespan_it_lives_from_the_first_chat_to_the_end_of_the_loop(factory, tmp_path):
    sidecar = around(Application(), FAST, journal=str(tmp_path))
    with asyncio.Runner(loop_factory=factory) as runner:  # what the first loop of its kind opens for good is not ours
        runner.run(asyncio.sleep(0))
    before = threading.active_count(), descriptors()

    async def chat():
        assert sidecar.readiness().blocked_by == "starting"
        assert (await ask(sidecar)).said["provider"] == "local"
        assert sidecar.readiness().blocked_by is None

    for _ in range(2):  # as a test client without a lifespan has a loop for each request
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(chat())
        assert sidecar.readiness().blocked_by == "starting"
        gc.collect()
        assert (threading.active_count(), descriptors()) == before
    journals = sorted(tmp_path.iterdir())
    assert len(journals) == 2  # each whole, for it was closed
    assert all(json.loads(path.read_text().splitlines()[-1]) for path in journals)


async def test_two_first_chats_at_once_begin_one_life():
    sidecar = around(Application(), FAST)
    answers = await asyncio.gather(*(ask(sidecar) for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    await sidecar.aclose()
    await sidecar.aclose()  # there is nothing to end
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_chat_on_another_loop_is_a_500_and_not_an_answer_by_two(capfd):
    sidecar = around(Application(), FAST)
    async with lived(sidecar):
        got = await asyncio.to_thread(lambda: asyncio.run(ask(sidecar)))
        assert got.status == 500
        assert (await ask(sidecar)).status == 200
    assert '"OtherLoopError"' in capfd.readouterr().err


# -- what the application has set up stays as it is


async def test_the_applications_logging_and_collector_are_left_alone(capfd):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), gc.get_freeze_count(), gc.isenabled())
    async with lived(around(Application(), FAST)) as sidecar:
        assert (root.level, list(root.handlers), gc.get_freeze_count(), gc.isenabled()) == before
        await ask(sidecar)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {"ready", "chat", "policy_adopted"} <= {line["event"] for line in lines}


# -- what it lives by


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"environ": {}}, "no token is configured"),
        ({"switch": "http://x/path"}, "switch: .* is no address"),
        ({"policy": "/nowhere/policy.yaml"}, "/nowhere/policy.yaml"),
    ],
)
def test_what_cannot_be_is_said_where_it_is_asked_for(options, words):
    with pytest.raises(ValueError, match=words):
        ChatSidecar(Application(), **{"environ": ENVIRON, **NOBODY, **options})


def test_the_environment_is_where_tokens_and_addresses_are_unless_one_is_given(monkeypatch):
    monkeypatch.setenv("VX11_TENTACULO_LINK_TOKEN", TOKEN)
    monkeypatch.setenv("VX11_SWITCH_URL", "http://switch.test:1")
    sidecar = ChatSidecar(Application())

    async def seen():
        async with lived(sidecar):
            return sidecar.state()

    state = asyncio.run(seen())
    assert state["destinations"] == {"switch": "http://switch.test:1", "madre": "http://127.0.0.1:8001"}
    assert state["policy"]["source"] == "built-in"


async def reloaded(path: Path, text: str, sidecar: ChatSidecar):
    revision = sidecar.state()["policy"]["revision"]
    path.write_text(text)  # noqa: ASYNC240 - a test's own small file
    await until(lambda: sidecar.state()["policy"]["revision"] != revision)


async def test_files_are_watched_and_a_bad_one_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(reload_module, "LOOK", 0.02)
    monkeypatch.setattr(reload_module, "RETRY", 0.1)
    path = tmp_path / "policy.yaml"
    path.write_text(FAST)
    app = Application()
    async with lived(around(app, path)) as sidecar:
        await reloaded(path, FAST + "intercept: {paths: [/elsewhere]}\n", sidecar)
        assert (await ask(sidecar, http(CHAT))).content == body()["body"]
        assert (await ask(sidecar, http("/elsewhere"))).said["provider"] == "local"
        path.write_text("mode: shadow\n")
        await until(lambda: sidecar.readiness().notes)
        assert "mode: shadow needs a sidecar in front of the gateway" in sidecar.readiness().notes[0]
        assert (await ask(sidecar, http("/elsewhere"))).said["provider"] == "local"
        await reloaded(path, "mode: off\n", sidecar)
        assert (await ask(sidecar, http("/elsewhere"))).content == body()["body"]


async def test_a_file_that_changed_before_anybody_lived_is_read_again(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(FAST)
    sidecar = around(Application(), path)
    path.write_text(FAST + "intercept: {paths: [/elsewhere]}\n")
    async with lived(sidecar):
        assert (await ask(sidecar, http("/elsewhere"))).said["provider"] == "local"


async def test_a_rotated_token_is_in_force_when_a_reload_is_asked_for(tmp_path):
    path = tmp_path / "token"
    path.write_text("first")
    environ = {"VX11_TENTACULO_LINK_TOKEN_FILE": str(path)}
    async with lived(around(Application(), FAST, environ=environ)) as sidecar:
        assert (await ask(sidecar, http(token="first"))).status == 200
        path.write_text("second")
        sidecar.reload()
        assert (await ask(sidecar, http(token="first"))).status == 403
        assert (await ask(sidecar, http(token="second"))).status == 200


async def test_a_candidate_runs_beside_and_chaos_acts_where_it_is_allowed(tmp_path):
    candidate = tmp_path / "candidate.yaml"
    candidate.write_text(FAST)
    policy = (
        FAST
        + "chaos: [{name: all, target: switch, percentage: 100%, abort: reset, expires_at: 2099-01-01T00:00:00Z}]\n"
    )
    async with lived(around(Application(), policy, shadow=str(candidate), allow_chaos=True)) as sidecar:
        assert (await ask(sidecar)).said["provider"] == "local"
        assert sidecar.state()["shadow"]["problems"] == ()
        assert any("chaos" in note for note in sidecar.readiness().notes)


async def test_with_authentication_off_everybody_chats_and_that_is_said(capfd):
    async with lived(around(Application(), FAST, environ={"VX11_AUTH_MODE": "off"})) as sidecar:
        assert (await ask(sidecar, http(token=None))).status == 200
        assert sidecar.readiness().notes == ("authentication is off: everybody may chat",)
    assert '"auth_off"' in capfd.readouterr().err


# -- metrics


async def test_metrics_are_there_while_it_lives_in_the_format_that_is_asked_for():
    sidecar = around(Application(), FAST)

    async def scrape(method="GET", query=b"", **headers):
        fields = [(name.encode(), value) for name, value in headers.items()]
        return await ask(sidecar.metrics, http("/", method, token=None, headers=fields, query_string=query))

    assert (await scrape()).status == 503
    async with lived(sidecar):
        await ask(sidecar)
        got = await scrape()
        assert (got.status, got.fields["content-type"][:10]) == (200, "text/plain")
        assert b'vx11_sidecar_chat_requests_total{code="200",outcome="local"' in got.content
        got = await scrape(accept=b"application/openmetrics-text; version=1.0.0")
        assert got.fields["content-type"].startswith("application/openmetrics-text")
        assert got.content.endswith(b"# EOF\n")
        for odd in (b"application/openmetrics-text; version=x", b"\xff"):
            assert (await scrape(accept=odd)).fields["content-type"].startswith("text/plain")
        assert (await scrape(query=b"name[]=\xff")).status == 200
        assert (await scrape("POST")).status == 405
    assert (await scrape("HEAD")).status == 503
