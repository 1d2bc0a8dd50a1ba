"""Which spelling of a target reaches which handler, as Starlette decides it."""

from __future__ import annotations

import pytest

from sidecar.lab.routes import path_and_query
from sidecar.lab.town import Lab
from tests.lab.conftest import Client

HANDLED, DISABLED, NOT_FOUND = 200, 503, 404


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a?x=1&y=%2f", "/a", "x=1&y=%2f"),
        ("/operator%2fapi%2fch%61t", "/operator/api/chat", ""),
        ("/a%252fb", "/a%2fb", ""),
        ("http://h/operator/api/chat?a=b", "/operator/api/chat", "a=b"),
        ("http://h", "/", ""),
        ("/a#b?c", "/a", ""),
    ],
)
def test_the_path_is_decoded_once(target: str, path: str, query: str) -> None:
    assert path_and_query(target) == (path, query)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/operator/api/chat", HANDLED),
        ("/operator/api/chat?x=1", HANDLED),
        ("/operator/api/ch%61t", HANDLED),
        ("/operator%2fapi%2fchat", HANDLED),
        ("/operator/api/chat%0a", HANDLED),  # "$" in a pattern also takes a final line feed
        ("/operator/api/chat/", DISABLED),
        ("/operator/api/chat%2f", DISABLED),
        ("/operator/api/v1/chat", DISABLED),
        ("//operator/api/chat", NOT_FOUND),
        ("/operator/./api/chat", NOT_FOUND),
        ("/OPERATOR/API/CHAT", NOT_FOUND),
        ("/operator/chat/", 307),
    ],
)
async def test_spellings_of_the_chat_path(lab: Lab, http: Client, target: str, status: int) -> None:
    answer = await http.post(lab.gateway_url + target, {"message": "hola"})
    assert answer.status == status
    if status == DISABLED:
        assert answer.json == {"detail": "Operator API proxy is disabled"}
    if status == NOT_FOUND:
        assert answer.json == {"detail": "Not Found"}


async def test_a_superfluous_slash_is_redirected_to_the_host_and_scheme_the_client_named(
    lab: Lab, http: Client
) -> None:
    answer = await http.get(lab.gateway_url + "/health/?a=b", headers={"Host": "vx11.example:9999"})
    assert (answer.status, answer.headers["location"]) == (307, "http://vx11.example:9999/health?a=b")
    answer = await http.get(lab.gateway_url + "/operator/ui", headers={"X-Forwarded-Proto": "https", "Host": "h"})
    assert (answer.status, answer.headers["location"]) == (307, "https://h/operator/ui/")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_the_wrong_method_is_405(lab: Lab, http: Client, method: str) -> None:
    answer = await http.ask(method, lab.gateway_url + "/operator/api/chat")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_the_catch_all_comes_before_405(lab: Lab, http: Client, method: str) -> None:
    answer = await http.ask(method, lab.gateway_url + "/operator/api/chat")
    assert (answer.status, answer.json) == (503, {"detail": "Operator API proxy is disabled"})


async def test_head_of_health_is_405_everywhere(lab: Lab, http: Client) -> None:
    for name in ("gateway", "switch", "madre"):
        assert (await http.ask("HEAD", lab.urls[name] + "/health")).status == 405
