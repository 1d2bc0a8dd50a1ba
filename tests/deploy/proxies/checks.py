"""What must hold for a client, whatever stands between it and VX11. Each check is a name and a function of a picture that raises
AssertionError; ``behind`` those that only a proxy before sidecar and gateway can pass, ``before`` those of a sidecar that is a hop of its own,
``slow`` those that wait for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import NamedTuple

import aiohttp

from sidecar.lab.town import DEFAULT_TOKEN
from tests.deploy.proxies.picture import INSIDE, Picture, bearer, token
from tests.deploy.proxies.spellings import JUDGED, SPELLINGS, Became, Spelling, around, is_a_target, route, sent

GUARDED = ("/operator/session/one", "/operator/power/state", "/vx11/circuit-breaker/status")
PLAIN = ("/health", "/operator/api/status", "/operator/ui/", "/operator/api/modules?chat=1", "/metrics")
ELSEWHERE = "127.0.0.2"  # the client's address, to be told from everybody else's
PROMPT = 3.5  # seconds: whoever does not answer has not said yes
PIECES = (
    "/", "operator", "api", "chat", "/operator/api/chat", "%2f", "%2F", "ch%61t", "%63hat", "..", ".", "%2e", ";x", "?", "\\", "%5c", "CHAT", "v1",
    "commands", "debug", "/debug/valid-tokens", "%25", "%0a", "%00", "%20", "%zz", "%", "x", "health", "/..", "//", "#", ",",
)  # fmt: skip
MADE_UP = 300


class Check(NamedTuple):
    name: str
    run: Callable[[Picture], Awaitable[None]]
    behind: bool = False
    before: bool = False
    slow: bool = False


async def chat(at: Picture) -> None:
    """The switch answers, and the gateway hears nothing of it."""
    at.forget()
    said = await at.chat(token(), "X-Correlation-Id: corr-1")
    told = said.json
    assert (said.status, told.get("provider"), told.get("degraded"), told.get("correlation_id")) == (
        200,
        "switch",
        False,
        "corr-1",
    ), said
    assert said.fields["x-correlation-id"] == "corr-1"
    assert not at.gateway.heads


async def degraded(at: Picture) -> None:
    """Without the switch, madre answers, and says so."""
    await at.lab.fault("switch", "refuse")
    try:
        said = await at.chat(token())
    finally:
        await at.lab.clear("switch")
    assert (said.status, said.json.get("provider"), said.json.get("degraded")) == (200, "madre", True), said


async def deadline(at: Picture) -> None:
    """With everybody hung, the sidecar's own answer comes at its deadline: nobody gives up before."""
    for name in ("switch", "madre"):
        await at.lab.fault(name, "hang")
    try:
        said = await at.chat(token())
    finally:
        for name in ("switch", "madre"):
            await at.lab.clear(name)
    assert (said.status, said.json.get("provider")) == (200, "local"), said


async def tokens(at: Picture) -> None:
    """None, an empty, a wrong one, the right one behind a wrong one, two of them: worded as by the sidecar; and every place for it."""
    at.forget()
    for fields, status, word in (
        ((), 401, "auth_required"),
        (("X-VX11-Token:",), 401, "auth_required"),
        ((token("wrong"),), 403, "forbidden"),
        ((bearer("wrong"),), 403, "forbidden"),
        ((token("wrong"), bearer()), 403, "forbidden"),
    ):
        said = await at.chat(*fields)
        assert (said.status, said.json.get("detail"), said.json.get("error")) == (status, word, word), (fields, said)
        assert ("www-authenticate" in said.fields) is (status == 401)
    for first, second in ((token(), token("wrong")), (token("wrong"), token())):
        said = await at.chat(first, second)
        assert said.status in (400, 403), said
    assert (await at.chat(bearer())).status == 200
    assert (await at.chat(target=f"/operator/api/chat?token={DEFAULT_TOKEN}")).status == 200
    assert not at.gateway.heads


async def spellings(at: Picture) -> None:
    """Every known spelling of chat and of what is denied, with and without token: judged as by the sidecar alone."""
    wrong = []
    for spelling in SPELLINGS:
        became, heard = await sent(at, spelling)
        went_around = around(heard)
        if went_around:
            wrong.append(f"{spelling}: {went_around} went around the sidecar")
        elif not _fits(at, spelling, became):
            wrong.append(f"{spelling}: {became}")
    assert not wrong, "\n".join(wrong)


def _fits(at: Picture, spelling: Spelling, became: Became) -> bool:
    kind, right = route(spelling.method, spelling.target), spelling.token == "right"
    if became.how == "refused" and 400 <= became.status < 500:
        # By the sidecar; before it by a proxy that takes no such message, or asks for a token where it cannot read the path.
        if right and kind not in ("deny", "reject"):
            return at.behind_a_proxy and _may_be_refused(spelling)
        return kind in JUDGED or at.behind_a_proxy
    if kind == "deny":
        return False
    if kind in JUDGED:
        # A proxy may tidy a look-alike up, so that what the sidecar gets is chat or none; and what it could not read at all.
        allowed = {"chat": ("intercepted",), "reject": ()}.get(kind, ("relayed",))
        return right and became.how in (("intercepted", "relayed") if at.behind_a_proxy and kind != "chat" else allowed)
    return became.how == "relayed"


def _may_be_refused(spelling: Spelling) -> bool:
    """What some proxies do not take from anybody: a target with a host in it, one that climbs out, a method in lower case."""
    return "://" in spelling.target or spelling.target.startswith("/%2e%2e/") or spelling.method.islower()


async def made_up(at: Picture) -> None:
    """The same for targets made up from pieces: none of chat gets to the gateway without a token, none around the sidecar with one."""
    random = Random(at.name)
    for number in range(MADE_UP):
        target = "/" + "".join(random.choices(PIECES, k=random.randint(1, 7)))
        spelling = Spelling("POST", target, ("none", "right")[number % 2])
        became, heard = await sent(at, spelling)
        assert not around(heard), (spelling, heard)
        # What is no target to the data port has been read, inside an application, by the application's server: its path is what counts.
        theirs = at.name == INSIDE and not is_a_target("POST", target)
        if spelling.token == "none" and route("POST", target) in JUDGED and not theirs:
            assert became.how == "refused", (spelling, became)


async def straight(at: Picture) -> None:
    """What is no chat goes to the gateway; behind a proxy without the sidecar."""
    for path in PLAIN:
        at.forget()
        said = await at.ask("GET", path)
        (head,) = at.gateway.heads
        assert (said.status, head.target) == (200, path), said
        assert head.through_the_sidecar is not at.behind_a_proxy, head


async def forward_auth(at: Picture) -> None:
    """Paths that want a token: the sidecar says who may pass, and the gateway hears only of those."""
    for path in GUARDED:
        for fields, status in (((), 401), ((token("wrong"),), 403), ((token("x"), token()), 403)):
            at.forget()
            said = await at.ask("GET", path, "X-Correlation-Id: corr-2", *fields)
            assert (said.status, said.json.get("correlation_id")) == (status, "corr-2"), (path, said)
            assert not at.gateway.heads
        at.forget()
        said = await at.ask("GET", path, token())
        assert said.status == 200, (path, said)
        assert [head.through_the_sidecar for head in at.gateway.heads] == [False]
    for query, field in ((f"?a=b&token={DEFAULT_TOKEN}", "Accept: */*"), ("", bearer())):
        at.forget()
        await at.ask("GET", GUARDED[0] + query, field)
        assert [head.target for head in at.gateway.heads] == [
            GUARDED[0] + query
        ]  # which reads the field alone, and refuses it
    preflight = ("Origin: http://localhost:3000", "Access-Control-Request-Method: GET")
    assert (await at.ask("OPTIONS", GUARDED[0], *preflight)).status == 200
    refused = await at.ask("GET", GUARDED[0], preflight[0])
    assert refused.fields["access-control-allow-origin"] == "http://localhost:3000"  # or the page cannot read why


async def forwarded(at: Picture) -> None:
    """The client's address is the last that the proxy adds, whatever the client says of itself."""
    at.forget()
    command = b'{"command": "status"}'  # through the sidecar to the gateway
    fields = (token(), "X-Forwarded-For: 203.0.113.9")
    said = await at.ask("POST", "/operator/api/chat/commands", *fields, body=command, local=ELSEWHERE)
    assert said.status == 200, said
    (head,) = at.gateway.heads
    (told,) = head.values("X-Forwarded-For")
    passed = [part.strip() for part in told.split(",")]
    assert head.through_the_sidecar
    assert passed[-2 if at.behind_a_proxy else -1] == ELSEWHERE, passed
    if at.behind_a_proxy:
        at.forget()
        await at.ask("GET", "/health", local=ELSEWHERE)
        assert at.gateway.heads[0].values("X-Forwarded-For") == [ELSEWHERE]


async def events(at: Picture) -> None:
    """A stream's first event comes at once (the next sign of life is due after ten seconds), and the stream stays open."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"GET /operator/api/events HTTP/1.1\r\nHost: vx11.test\r\nAccept: text/event-stream\r\n\r\n")
        await reader.readuntil(b"SSE stream established")
    try:
        rest = await asyncio.wait_for(reader.read(1), 0.3)
        while rest not in (b"", b": "):  # what is left of the first event
            rest = await asyncio.wait_for(reader.read(65_536), 0.3)
        raise AssertionError("the stream ended")
    except TimeoutError:
        writer.close()


async def uploads(at: Picture) -> None:
    """The gateway hears of a body before it is all there."""
    at.forget()
    _, writer = await asyncio.open_connection("127.0.0.1", at.port)
    writer.write(b"POST /operator/browser/task HTTP/1.1\r\nHost: vx11.test\r\nContent-Length: 20\r\n\r\n0123456789")
    async with asyncio.timeout(5):
        while not at.gateway.heads:  # noqa: ASYNC110 - what was heard is all there is to look at
            await asyncio.sleep(0.01)
    writer.close()


async def websocket(at: Picture) -> None:
    """Text comes back, and the close code goes through."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{at.port}/ws?client_id=c1") as socket,
    ):
        assert (await socket.receive_json(timeout=5))["client_id"] == "c1"
        await socket.send_str('{"say": "hola"}')
        assert (await socket.receive_json(timeout=5))["say"] == "hola"
        await socket.close(code=4001)
        assert socket.close_code == 4001


async def once(at: Picture) -> None:
    """A chat whose connection breaks is never sent again, and goes to nobody else."""
    at.forget()
    at.sidecar.manner = "cut"
    try:
        said = await at.chat(token())
    finally:
        at.sidecar.manner = "pass"
    assert said.status in (0, 502, 503, 504), said
    assert [head.method for head in at.sidecar.heads] == ["POST"]
    assert not at.gateway.heads


async def silent(at: Picture) -> None:
    """A sidecar that takes the question about a token and never answers it has not said yes."""
    at.forget()
    at.admin.manner = "silent"
    try:
        said = await asyncio.wait_for(at.ask("GET", GUARDED[0], token()), PROMPT)
        assert 500 <= said.status < 600, said
    except TimeoutError:
        assert at.name == "traefik"  # it has 30 seconds built in
    finally:
        at.admin.manner = "pass"
    assert at.admin.heads
    assert not at.gateway.heads


async def down(at: Picture) -> None:
    """Without the sidecar: no chat, nothing that wants a token, and all the rest. The last check: nothing comes back."""
    await at.admin.close()
    await at.sidecar.close()
    at.forget()
    for target in ("/operator/api/chat", "/operator/api/%63hat", "/debug/valid-tokens"):
        said = await at.chat(token(), target=target)
        assert 500 <= said.status < 600, (target, said)
    said = await at.ask("GET", GUARDED[0], token())
    assert 500 <= said.status < 600, said
    assert not at.gateway.heads
    for path in PLAIN:
        assert (await at.ask("GET", path)).status == 200


CHECKS = (
    Check("chat", chat),
    Check("tokens", tokens),
    Check("spellings", spellings),
    Check("made up", made_up),
    Check("straight", straight),
    Check("address", forwarded, before=True),
    Check("events", events),
    Check("uploads", uploads),
    Check("websocket", websocket),
    Check("degraded", degraded),
    Check("deadline", deadline, slow=True),
    Check("forward auth", forward_auth, behind=True),
    Check("sent once", once, behind=True),
    Check("silent", silent, behind=True),
    Check("down", down, behind=True),
)
