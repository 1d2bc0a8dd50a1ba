"""The inventory: which known route a path is, matched as the gateway matches it, and what kind of program asks."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.lab.faults import Faults
from sidecar.lab.gateway import Gateway
from sidecar.lab.pace import Pace
from sidecar.wire import head, inventory, request
from sidecar.wire.inventory import CLIENTS, ROUTES, TEMPLATES, client, template, usage
from sidecar.wire.request import Usage
from sidecar.wire.target import Routes

RULES = head.rules(Routes(["/operator/api/chat"]), pseudonym=b"us", authority=b"gateway")


@pytest.mark.parametrize("route", TEMPLATES)
def test_every_route_is_found_under_its_own_name(route):
    path = route.replace("{id}", "a-1").replace("{path}", "a/b.js").encode()
    assert template(path) == route


@pytest.mark.parametrize(("path", "route"), [
    (b"/operator/api/ch%61t", "/operator/api/chat"),
    (b"/operator%2fapi%2fchat", "/operator/api/chat"),
    (b"/operator/api/chat/", "/operator/api/{path}"),
    (b"/operator/api/chat%2f", "/operator/api/{path}"),
    (b"/operator/api/ch%2561t", "/operator/api/{path}"),
    (b"/operator/api/", "/operator/api/{path}"),
    (b"/OPERATOR/API/CHAT", "other"),
    (b"//operator/api/chat", "other"),
    (b"/operator/./api/chat", "other"),
    (b"/operator/session/", "other"),
    (b"/operator/session/a/b", "other"),
    (b"/operator/session/a%2fb", "other"),
    (b"/operator/session/%ff%00", "/operator/session/{id}"),
    (b"/health%0a", "/health"),
    (b"/health%0a%0a", "other"),
    (b"/health/", "other"),
    (b"/healthx", "other"),
    (b"/operator/ui/", "/operator/ui/{path}"),
    (b"/", "other"),
    (b"", "other"),
    (b"*", "other"),
    (b"/operator/session/" + b"a" * 2000, "other"),
])  # fmt: skip
def test_a_path_is_matched_as_the_gateway_matches_it(path, route):
    assert template(path) == route


async def test_every_route_of_the_gateway_is_in_the_inventory():
    gateway = Gateway(Pace(), Faults("gateway"), "token", None, {})
    for route in gateway._table._routes:
        path = re.sub(r"\(\?P<\w+>(?:\.\*|\[\^/\]\+)\)", "x", route.pattern.pattern).strip("^$").replace("\\", "")
        assert template(path.encode()) != "other", path


@given(st.binary(max_size=60))
def test_any_bytes_are_a_route_of_the_list(path):
    assert template(b"/" + path) in ROUTES
    assert template(quote_from_bytes(path).encode()) in ROUTES


@pytest.mark.parametrize(("user_agent", "kind"), [
    (b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36", "browser"),
    (b"curl/8.5.0", "curl"), (b"Wget/1.21", "curl"), (b"python-requests/2.32", "python"), (b"Python/3.11 aiohttp/3.14", "python"),
    (b"node", "node"), (b"axios/1.7", "node"), (b"Go-http-client/1.1", "go"), (b"Prometheus/3.0", "prometheus"), (b"okhttp/4", "java"),
    (b"kube-probe/1.31", "probe"), (b"", "none"), (None, "none"), (b"Lynx", "other"), (b"\xff\xfe", "other"), (b"x" * 5000, "other"),
])  # fmt: skip
def test_a_client_is_one_of_a_few_kinds(user_agent, kind):
    assert client(user_agent) == kind
    assert kind in CLIENTS


def read(text):
    asked = request.read(text.replace(b"\n", b"\r\n") + b"\r\n\r\n", RULES)
    assert isinstance(asked, request.Request)
    return asked


@pytest.mark.parametrize("name", [b"User-Agent", b"user-agent", b"USER-AGENT", b"uSeR-aGeNt"])
@pytest.mark.parametrize("space", [b"", b" ", b"\t  "])
def test_the_user_agent_is_found_however_it_is_spelled(name, space):
    asked = read(b"GET /health?token=1 HTTP/1.1\nHost: x\n" + name + b":" + space + b"curl/8\nX-User-Agent: node")
    assert usage(asked) == Usage("/health", "curl")


def test_a_head_without_user_agent_says_nothing_of_who_asks():
    assert usage(read(b"GET http://h/ws/7?x HTTP/1.1\nHost: x\nX-User-Agent: curl/8")) == Usage("/ws/{id}", "none")


def test_a_request_that_could_not_be_read_is_other():
    assert usage(None) == Usage("other", "other")


def test_what_is_remembered_is_bounded_and_changes_no_answer(monkeypatch):
    monkeypatch.setattr(inventory, "_templates", {})
    monkeypatch.setattr(inventory, "_clients", {})
    for number in range(3 * inventory.MOST_REMEMBERED):
        assert template(b"/operator/session/%d" % number) == "/operator/session/{id}"
        assert client(b"curl/%d" % number) == "curl"
        assert len(inventory._templates) <= inventory.MOST_REMEMBERED
        assert len(inventory._clients) <= inventory.MOST_REMEMBERED
    assert template(b"/x" * 2000) == "other"
    assert client(b"curl/" + b"x" * 2000) == "curl"
    assert all(len(key) <= inventory.LONGEST for known in (inventory._templates, inventory._clients) for key in known)
