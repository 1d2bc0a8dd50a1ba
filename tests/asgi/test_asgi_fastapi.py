"""A real gateway: FastAPI on uvicorn, the sidecar around it, and a small VX11 behind. FastAPI's own routing is the judge of spellings."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import FastAPIDeprecationWarning
from fastapi.responses import Response, StreamingResponse
from scripts import CHAT, until
from starlette.middleware import Middleware
from uvicorn_server import uvicorn_on

from sidecar.asgi import ChatSidecar
from sidecar.edge.app import Sidecar
from sidecar.edge.environment import Environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.settings import resolve
from sidecar.lab.town import DEFAULT_TOKEN, Lab
from sidecar.policy.load import parse

CASES = json.loads((Path(__file__).parents[1] / "corpus" / "path_aliases.json").read_text())["cases"]
POLICY = "deadline: {client: 3s, margin: 250ms}\ntimeouts: {attempt: 1s}\ndormant: {mode: ignore}\nrelay: {deny: [/debug/*, /exact]}\nguards: {anonymous_rate_limit: 1000 per 1s}\n"
JSON = {"Content-Type": "application/json"}
OWN = "the application's own"


def gateway(**options) -> FastAPI:
    """An application with a chat of its own, and whatever else must not be disturbed."""
    app = FastAPI(**options)
    app.state.chats = []

    async def chat(request: Request):
        app.state.chats.append(str(request.url))
        return {"provider": OWN, "read": (await request.body()).decode()}

    for path in (CHAT, "/operator/api/v1/chat", CHAT + "/commands", "/operator/api/{path:path}"):
        app.post(path)(chat)
    for path in ("/debug/x", "/exact"):
        app.get(path)(chat)

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    @app.post("/echo")
    async def echo(request: Request):
        return Response(b"".join([piece async for piece in request.stream()]))

    @app.get("/events")
    async def events():
        async def beats():
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.2)

        return StreamingResponse(beats(), media_type="text/event-stream")

    @app.websocket("/ws")
    async def ws(websocket: WebSocket):
        await websocket.accept()
        while True:
            await websocket.send_text((await websocket.receive_text()).upper())

    return app


class Gateway:
    def __init__(self, app, sidecar, url, client):
        self.app, self.sidecar, self.url, self.client = app, sidecar, url, client

    async def chat(self, path=CHAT, token=DEFAULT_TOKEN, message="hi", **fields):
        headers = fields if token is None else {"X-VX11-Token": token} | fields
        content = io.BytesIO(json.dumps({"message": message}).encode())
        async with self.client.post(self.url + path, data=content, headers=JSON | headers) as got:
            return got.status, got.headers.copy(), await got.json()


@asynccontextmanager
async def standing(lab=None, policy=POLICY, wrap=None, app=None, **options):
    app = app or gateway()
    places = (
        {"switch": lab.switch_url, "madre": lab.madre_url} if lab else dict.fromkeys(("switch", "madre"), "127.0.0.1:9")
    )
    environ = {"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN}
    sidecar = ChatSidecar(app, policy=parse(policy, "here.yaml"), environ=environ, log_level="error", **places)
    app.add_route("/metrics", sidecar.metrics)
    app.mount("/mounted", sidecar.metrics)
    async with uvicorn_on(wrap(sidecar) if wrap else sidecar, **options) as url, aiohttp.ClientSession() as client:
        yield Gateway(app, sidecar, url, client)


@pytest.fixture
async def lab():
    async with Lab(tempo=0.01) as lab:
        yield lab


# -- the ladder, through the application


async def test_switch_answers_then_madre_then_we_and_always_in_time(lab):
    async with standing(lab) as here:
        status, fields, said = await here.chat()
        assert (status, said["provider"], said["degraded"]) == (200, "switch", False)
        assert fields["X-Correlation-Id"] == said["correlation_id"]
        assert fields.getall("Server") == ["uvicorn"]
        await lab.fault("switch", "error")
        status, _, said = await here.chat()
        assert (status, said["provider"], said["degraded"]) == (200, "madre", True)
        await lab.fault("switch", "hang")
        await lab.fault("madre", "hang")
        began = time.monotonic()
        status, fields, said = await here.chat()
        assert (status, said["provider"], said["degraded"]) == (200, "local", True)
        assert "Proxy-Status" in fields
        assert time.monotonic() - began < 3.0
        assert here.app.state.chats == []


async def test_tokens_are_judged_before_the_application_hears_of_anything():
    async with standing() as here:
        for token, status, word in ((None, 401, "auth_required"), ("wrong", 403, "forbidden")):
            for path in (CHAT, "/operator/api/v1/chat"):
                got, fields, said = await here.chat(path, token)
                assert (got, said["error"]) == (status, word)
            assert ("WWW-Authenticate" in fields) is (status == 401)
        assert here.app.state.chats == []


async def test_a_body_too_large_is_refused_and_the_connection_goes_on(lab):
    async with standing(lab, "guards: {max_body: 1KiB}\n") as here:
        for size, status in ((500, 200), (5_000_000, 413), (500, 200)):
            assert (await here.chat(message="x" * size))[0] == status


async def raw(url: str, message: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(message)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = re.search(rb"(?i)content-length: (\d+)", head)
    content = await reader.readexactly(int(length[1])) if length else b""
    writer.close()
    return int(head.split()[1]), content


async def test_who_expects_to_be_told_to_go_on_is_told_only_with_a_token(lab):
    async with standing(lab) as here:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 17\r\n"
        assert (await raw(here.url, head.encode() + b"\r\n"))[0] == 401
        assert (await raw(here.url, f"{head}X-VX11-Token: {DEFAULT_TOKEN}\r\n\r\n".encode()))[0] == 100


async def test_a_client_that_leaves_ends_its_chat(lab):
    await lab.fault("switch", "hang")
    await lab.fault("madre", "hang")
    async with standing(lab, "deadline: {client: 60s}\ntimeouts: {attempt: 20s}\n") as here:
        asking = asyncio.create_task(here.chat())
        await until(lambda: here.sidecar.state()["under_way"]["chat"] == 1)
        asking.cancel()
        await until(lambda: here.sidecar.state()["under_way"]["chat"] == 0)


# -- spellings


@pytest.mark.parametrize("mounted", ["", "/gw"], ids=["plain", "root_path"])
async def test_no_spelling_reaches_a_chat_of_the_application_without_a_token(mounted):
    """Whatever uvicorn and FastAPI make of it: no handler of chat is reached unless a valid token was sent."""
    async with standing(root_path=mounted) as here:
        reached = {}
        for case in CASES:
            statuses = []
            for token in ("", f"X-VX11-Token: {DEFAULT_TOKEN}\r\n"):
                here.app.state.chats.clear()
                head = f"POST {case['target']} HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 17\r\nConnection: close\r\n\r\n"
                status, content = await raw(here.url, head.encode() + b'{"message": "hi"}')
                statuses.append(status)
                reached[case["target"], bool(token)] = bool(here.app.state.chats)
                if not token and case["class"] != "other":
                    assert status in (400, 401, 403, 404, 405), case
                if (
                    case["class"] == "chat" and token and not (mounted and case["target"].startswith("http"))
                ):  # no path, then
                    assert b'"provider":"local"' in content, case
        assert not [
            target for (target, token), seen in reached.items() if seen and not token and kind(target) != "other"
        ]
        assert not [
            target for (target, _), seen in reached.items() if seen and kind(target) in ("chat", "deny", "reject")
        ]
        assert any(
            seen for (target, token), seen in reached.items() if token and kind(target) in ("alias", "vx11-indirect")
        )


def kind(target: str) -> str:
    return next(case["class"] for case in CASES if case["target"] == target)


async def test_the_prefix_of_fastapi_itself_is_known():
    with pytest.warns(FastAPIDeprecationWarning, match="root_path"):
        app = gateway(root_path="/gw")
    async with standing(app=app) as here:
        for path in ("/gw" + CHAT, CHAT):
            assert (await here.chat(path, None))[0] == 401
            assert (await here.chat(path))[2]["provider"] == "local"
        assert app.state.chats == []


async def test_mounted_below_a_path_it_is_the_same(lab):
    outer = FastAPI()

    def wrap(sidecar):
        outer.mount("/below", sidecar)
        return outer

    async with standing(lab, wrap=wrap) as here:  # a mount hands no lifespan on: it lives from the first chat
        assert (await here.chat("/below" + CHAT, None))[0] == 401
        assert (await here.chat("/below" + CHAT))[2]["provider"] == "switch"
        assert (await here.chat("/below" + CHAT + "/", None))[0] == 401
        await here.sidecar.aclose()


# -- what is the application's own


async def test_streams_bodies_and_events_pass_as_if_nobody_stood_there():
    async with standing() as here:
        content = bytes(range(256)) * 8_000
        async with here.client.post(here.url + "/echo", data=io.BytesIO(content)) as got:
            assert await got.read() == content
        async with here.client.get(here.url + "/events") as got:
            came = [(line.strip().decode(), time.monotonic()) async for line in got.content if line.strip()]
        assert [line for line, _ in came] == ["data: 0", "data: 1", "data: 2"]
        assert came[2][1] - came[0][1] > 0.3  # one by one, as they were made


async def test_a_websocket_passes():
    async with standing() as here, here.client.ws_connect(here.url + "/ws") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str(timeout=3) == "HELLO"


async def test_a_websocket_that_the_policy_denies_is_a_403():
    async with standing(policy="relay: {deny: [/w*]}\n") as here:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await here.client.ws_connect(here.url + "/%77s")
        assert refused.value.status == 403


async def test_metrics_are_where_the_application_wants_them(lab):
    async with standing(lab) as here:
        await here.chat()
        for path in ("/metrics", "/mounted/"):
            async with here.client.get(here.url + path, headers={"Accept": "application/openmetrics-text"}) as got:
                assert got.headers["Content-Type"].startswith("application/openmetrics-text")
                text = await got.text()
            assert 'vx11_sidecar_chat_requests_total{code="200",outcome="primary"' in text.replace("'", '"')


async def test_as_a_middleware_of_the_application_it_lives_with_it(lab):
    """``add_middleware``: within the application's own error handling and its lifespan."""
    told = []

    @asynccontextmanager
    async def lifespan(_):
        told.append("begins")
        yield
        told.append("ends")

    app = gateway(lifespan=lifespan)
    app.user_middleware.append(
        Middleware(
            ChatSidecar,
            policy=parse(POLICY, "p"),
            switch=lab.switch_url,
            environ={"VX11_TENTACULO_LINK_TOKEN": DEFAULT_TOKEN},
        )
    )
    async with uvicorn_on(app) as url, aiohttp.ClientSession() as client:
        here = Gateway(app, None, url, client)
        assert (await here.chat())[2]["provider"] == "switch"
        assert (await here.chat(token=None))[0] == 401
        assert told == ["begins"]
    assert told == ["begins", "ends"]


@pytest.mark.parametrize("lifespan", ["on", "auto", "off"])
async def test_with_and_without_lifespan_it_answers_and_leaves_nothing(lab, lifespan):
    before = asyncio.all_tasks()
    async with standing(lab, lifespan=lifespan) as here:
        assert (await here.chat())[2]["provider"] == "switch"
        if lifespan == "off":
            await here.sidecar.aclose()  # else the end of the loop would
    assert here.sidecar.readiness().blocked_by == "starting"
    await until(lambda: asyncio.all_tasks() <= before)


# -- the same as alone


VARIES = re.compile(
    rb'"(correlation_id|session_id|message_id)":"[^"]*"|"(latency_ms|retry_after)":[0-9.]+|"timestamp":"[^"]*"'
)
HEADERS = (
    "Content-Type",
    "Proxy-Status",
    "WWW-Authenticate",
    "Retry-After",
    "Vary",
    "Access-Control-Allow-Origin",
    "Allow",
)
TOKEN = {"X-VX11-Token": DEFAULT_TOKEN}
REQUESTS = [
    ("POST", CHAT, TOKEN, b'{"message": "hi"}'),
    ("POST", "/operator/api/v1/chat?x=y", TOKEN, b'{"message": "hi", "session_id": "s", "metadata": {"a": 1}}'),
    ("POST", CHAT, TOKEN | {"Origin": "http://localhost:8020"}, b'{"message": "hi"}'),
    ("POST", CHAT, {}, b'{"message": "hi"}'),
    ("POST", CHAT, {"X-VX11-Token": "wrong"}, b""),
    ("POST", CHAT, TOKEN, b""),
    ("POST", CHAT, TOKEN, b"{"),
    ("POST", CHAT, TOKEN, b'{"message": 1}'),
    ("POST", CHAT, TOKEN, b'{"message": "\\ud800"}'),
    ("POST", CHAT, TOKEN | {"Content-Type": "text/plain"}, b'{"message": "hi"}'),
    ("POST", CHAT, TOKEN, b'{"message": "%s"}' % (b"x" * 4001)),
    ("POST", CHAT, TOKEN, b"x" * 70_000),
    ("POST", CHAT + "/", {}, b"{}"),
    ("POST", "/OPERATOR/api/chat", {"X-VX11-Token": "wrong"}, b"{}"),
    ("POST", CHAT + "/commands", {}, b"{}"),
    ("POST", CHAT + "%0a", TOKEN, b"{}"),
    ("POST", "/debug/x", TOKEN, b"{}"),
    ("GET", "/DEBUG/x", {}, b""),
    ("POST", "/operator/api/%63hat", TOKEN, b'{"message": "hi"}'),
    ("POST", CHAT, TOKEN | {"X-Correlation-Id": "mine", "X-VX11-Timeout-Ms": "500"}, b'{"message": "hi"}'),
]


async def asked(base: str) -> list[tuple]:
    """What each request gets there, but for what is another each time."""
    got = []
    async with aiohttp.ClientSession() as client:
        for method, path, headers, content in REQUESTS:
            url = aiohttp.client.URL(base + path, encoded=True)
            async with client.request(method, url, headers=JSON | headers, data=content) as answer:
                said = VARIES.sub(b"", await answer.read())
                got.append((method, path, answer.status, said, {name: answer.headers.get(name) for name in HEADERS}))
    return got


async def test_inside_everything_is_answered_as_alone(lab):
    for faults in ((), ("switch",), ("switch", "madre")):
        for service in faults:
            await lab.fault(service, "error")
        flags = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "switch": lab.switch_url, "madre": lab.madre_url}
        said = Environment(DEFAULT_TOKEN, frozenset({DEFAULT_TOKEN}), None, None, lab.gateway_url, None, None)
        logging = Logging("error")
        try:
            async with (
                standing(lab) as here,
                Sidecar(resolve(flags, said, {}, parse(POLICY, "here.yaml")), logging) as alone,
            ):
                inside, outside = await asked(here.url), await asked(f"http://{alone.serving.listen}")
        finally:
            logging.close()
        assert inside == outside
        assert len({answer[2] for answer in inside}) >= 6
