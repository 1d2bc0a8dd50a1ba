"""The admin port: metrics in both formats, health that speaks for us alone, state behind Host and token, errors that say nothing."""

from __future__ import annotations

import asyncio
import json
import random
from types import SimpleNamespace

import pytest
from aiohttp import web
from kitchen import Place
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.edge.admin.application import admin_application, admin_protocol
from sidecar.edge.admin.control import Control
from sidecar.edge.admin.desk import Desk, Office
from sidecar.edge.admin.room import Room
from sidecar.edge.admin.status import Readiness
from sidecar.edge.admin.trend import Trend
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.token import Tokens

SECRET = "canary-1234567890"


class Port:
    """The office behind the application, to be changed while it is open."""

    def __init__(self, token=None, registry=None):
        """``token`` is the admin token where other machines can reach the port; None: only this one can."""
        self.ready = Readiness(None)
        self.place = Place()
        self.telemetry = Telemetry(lambda: 0.0)
        self.crash: Exception | None = None
        self.judged: list[str] = []
        self.office = Office(
            registry=registry or self.telemetry.registry,
            in_force=self.place.in_force,
            readiness=lambda: self.ready,
            state=self.state,
            explain={"known": []}.get,
            calls=lambda: {"degraded": [], "last": []},
            trend=Trend(lambda: 0.0),
            control=Control(None, None, None, None),
            mutators=lambda: self.token,
            exposed=token is not None,
            judged=self.judged.append,
        )
        self.token = token

    def state(self):
        if self.crash:
            raise self.crash
        return {"status": "serving"}


@pytest.fixture
def open_port(aiohttp_client):
    async def opened(port):
        return await aiohttp_client(admin_application(Desk(port.office)))

    return opened


OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


async def test_metrics_are_plain_text_unless_openmetrics_is_asked_for(open_port):
    client = await open_port(Port())
    got = await client.get("/metrics")
    assert (got.status, got.headers["Server"]) == (200, "vx11-sidecar")
    assert got.headers["Content-Type"].startswith("text/plain; version=")
    assert "vx11_sidecar_degraded" in {family.name for family in parse(await got.text())}
    got = await client.get("/metrics", headers={"Accept": OPENMETRICS})
    assert got.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = await got.text()
    assert text.endswith("# EOF\n")
    assert "vx11_sidecar_degraded" in {family.name for family in parse_openmetrics(text)}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;escaping=nonsense",
        "caf\u00e9",
        "text/plain;version=;q=x",
        ",;,=" * 500,
    ],
)
async def test_no_accept_header_breaks_a_scrape(open_port, accept):
    got = await (await open_port(Port())).get("/metrics", headers={"Accept": accept})
    assert got.status == 200


async def test_metrics_and_probes_ask_for_neither_host_nor_token(open_port):
    client = await open_port(Port(token=Tokens([SECRET])))
    for path in ("/metrics", "/livez", "/readyz"):
        assert (await client.get(path, headers={"Host": "evil.test"})).status == 200


async def test_alive_says_nothing_about_anybody_else(open_port):
    port = Port()
    port.ready = Readiness("draining")
    got = await (await open_port(port)).get("/livez")
    assert (got.status, await got.json(), got.headers["Server"]) == (200, {"status": "ok"}, "vx11-sidecar")


async def test_ready_is_a_word_and_verbose_adds_notes_and_the_policy(open_port):
    port = Port()
    client = await open_port(port)
    got = await client.get("/readyz")
    assert (got.status, await got.json()) == (200, {"status": "ok"})
    port.ready = Readiness("draining", ("authentication is off: everybody may chat",))
    got = await client.get("/readyz")
    assert (got.status, await got.json()) == (503, {"status": "draining"})
    got = await client.get("/readyz?verbose")
    assert got.status == 503
    assert await got.json() == {
        "status": "draining",
        "notes": ["authentication is off: everybody may chat"],
        "policy": {"revision": "r1", "source": "test"},
    }


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9180", 200),
        ("127.0.0.1:9180", 200),
        ("[::1]:9180", 200),
        ("[::1]", 200),
        ("evil.test", 403),
        ("localhost.evil.test", 403),
        ("localhost@evil.test", 403),
        ("127.0.0.1.evil.test:80", 403),
        ("[::1].evil.test", 403),
        ("[::1", 403),
        ("[evil.test]", 403),
        ("", 403),
    ],
)
async def test_state_answers_only_to_the_hosts_of_the_policy(open_port, host, status):
    got = await (await open_port(Port())).get("/state", headers={"Host": host})
    body = await got.json()
    assert got.status == status
    assert body == ({"status": "serving"} if status == 200 else {"detail": "this Host is not one of admin.hosts"})


@pytest.mark.parametrize("path", ["/state", "/calls", "/calls/x", "/trend", "/policy"])
async def test_whatever_holds_data_is_behind_host_and_token_and_is_never_kept(open_port, path):
    client = await open_port(Port(token=Tokens([SECRET])))
    assert (await client.get(path)).status == 401
    assert (await client.get(path, headers={"Host": "evil.test", "X-VX11-Admin-Token": SECRET})).status == 403
    got = await client.get(path, headers={"X-VX11-Admin-Token": SECRET})
    assert got.status == (404 if path == "/calls/x" else 200)
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("offered", "status", "detail"),
    [
        (None, 401, "auth_required"),
        ("", 401, "auth_required"),
        ("wrong", 403, "forbidden"),
        ("a\xffb", 403, "forbidden"),
        ("a?b", 200, None),
    ],
)
async def test_off_loopback_state_wants_the_admin_token_as_well(open_port, offered, status, detail):
    client = await open_port(Port(token=Tokens(["a?b"])))
    headers = {} if offered is None else {"X-VX11-Admin-Token": offered}
    got = await client.get("/state", headers=headers)
    assert got.status == status
    if detail:
        assert await got.json() == {"detail": detail}


@pytest.mark.parametrize("raw", [b"a\xffb", b"a\xc3\xbfb"])
async def test_a_byte_that_is_no_ascii_matches_no_token(open_port, raw):
    client = await open_port(Port(token=Tokens(["a?b"])))
    answer = await talk(
        client,
        b"GET /state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-VX11-Admin-Token: " + raw + b"\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("offered", [("right", "wrong"), ("wrong", "right"), ("right", "right"), ("right", "")])
async def test_two_tokens_are_none(open_port, offered):
    """Which of them counts would depend on who reads: one process, or several workers that pass them on to each other."""
    client = await open_port(Port(token=Tokens(["right"])))
    got = await client.get("/state", headers=[("X-VX11-Admin-Token", token) for token in offered])
    assert (got.status, await got.json()) == (403, {"detail": "forbidden"})


async def test_a_token_that_was_rotated_is_the_one_that_counts(open_port):
    port = Port(token=Tokens(["old"]))
    client = await open_port(port)
    port.token = Tokens(["new"])
    assert (await client.get("/state", headers={"X-VX11-Admin-Token": "old"})).status == 403
    assert (await client.get("/state", headers={"X-VX11-Admin-Token": "new"})).status == 200


async def test_off_loopback_without_an_admin_token_nobody_reads_the_state(open_port):
    client = await open_port(Port(token=Tokens([])))
    assert (await client.get("/state", headers={"X-VX11-Admin-Token": "x"})).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/status.html", 404, None),
        ("POST", "/", 405, {"GET", "HEAD"}),
        ("GET", f"/nowhere?token={SECRET}", 404, None),
        ("GET", f"/{SECRET}", 404, None),
        ("GET", "/operator/api/chat", 404, None),
        ("POST", f"/metrics?token={SECRET}", 405, {"GET", "HEAD"}),
        ("DELETE", "/state", 405, {"GET", "HEAD"}),
    ],
)
async def test_what_is_not_there_is_said_in_json_and_nothing_is_echoed(open_port, method, path, status, allow):
    got = await (await open_port(Port())).request(method, path)
    text = await got.text()
    assert got.status == status
    assert await got.json() == {"detail": "Not Found" if status == 404 else "Method Not Allowed"}
    assert (set(got.headers["Allow"].split(",")) if "Allow" in got.headers else None) == allow
    assert SECRET not in text + str(got.headers)


async def test_a_crash_inside_is_a_500_in_json_without_a_word_about_it(open_port, caplog):
    port = Port()

    port.crash = KeyError(SECRET)
    got = await (await open_port(port)).get("/state?token=" + SECRET, headers={"Accept": "text/html"})
    assert (got.status, await got.json()) == (500, {"detail": "Internal Server Error"})
    assert SECRET not in str(got.headers)
    assert [record.name for record in caplog.records] == ["sidecar.edge.admin.application"]


async def test_a_collector_that_fails_is_a_500_and_the_next_scrape_is_well(open_port):
    registry = CollectorRegistry()

    class Broken:
        fails = False

        def collect(self):
            if self.fails:
                raise RuntimeError(SECRET)
            return []

    broken = Broken()
    registry.register(broken)
    client = await open_port(Port(registry=registry))
    broken.fails = True
    got = await client.get("/metrics")
    assert (got.status, await got.json()) == (500, {"detail": "Internal Server Error"})
    broken.fails = False
    assert (await client.get("/metrics")).status == 200


@pytest.fixture
async def raw_port():
    """The port as the composition root opens it: its number."""
    runner = web.AppRunner(admin_application(Desk(Port().office)), access_log=None)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(admin_protocol(runner, Room(8)), "127.0.0.1", 0)
    yield SimpleNamespace(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    server.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    "bad",
    [
        f"GET /state?token={SECRET}\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET /state HTTP/1.1\r\nHost: localhost\r\nX-VX11-Admin-Token: {SECRET}\x01\r\n\r\n",
        f"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SECRET}\r\n\r\n",
        f"GET http://[{SECRET} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"{SECRET}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX-VX11-Admin-Token: {SECRET * 1000}\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_json_and_neither_quoted_nor_logged(raw_port, bad, caplog):
    answer = await talk(raw_port, bad.encode("latin-1"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert json.loads(body) == {"detail": "Bad Request"}
    assert b"Server: vx11-sidecar\r\n" in head + b"\r\n"
    assert SECRET.encode() not in answer
    assert SECRET[:8].encode() not in answer
    assert not caplog.records
    well = await talk(raw_port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert well.startswith(b"HTTP/1.1 200 ")


async def talk(client, data):
    """Raw bytes to the port, and everything that comes back until the end."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def test_no_request_adds_a_series(open_port):
    port = Port()
    client = await open_port(port)

    async def lines():
        text = await (await client.get("/metrics")).text()
        return [line.split(" ")[0] for line in text.splitlines() if not line.startswith("#")]

    before = await lines()
    luck = random.Random(7)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    for _ in range(500):
        path = "".join(luck.choice("abc/%2f;?=&") for _ in range(12))
        writer.write(
            f"{luck.choice(('GET', 'POST', 'PATCH', 'TRACE'))} /{path} HTTP/1.1\r\nHost: x{path[:2]}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        await reader.readexactly(size)
    writer.close()
    assert await lines() == before
    assert len(before) < 1000


async def test_an_expectation_is_met_or_refused_without_a_word_of_it(open_port):
    client = await open_port(Port(Tokens(["other"])))
    for sent, status in (("100-continue", 401), (SECRET, 417)):
        got = await client.post("/reload", data=b"{}", headers={"Expect": sent})
        assert got.status == status
        assert got.content_type == "application/json"
        assert SECRET not in await got.text()
