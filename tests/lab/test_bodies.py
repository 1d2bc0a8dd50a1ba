"""What FastAPI says to bodies it does not like, through the gateway's chat."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.lab.town import Lab
from tests.lab.conftest import Client

JSON = {"Content-Type": "application/json"}


def first(answer: Any) -> Any:
    return answer.json["detail"][0]


@pytest.mark.parametrize("token", [None, "vx11-local-token"])
async def test_bad_json_is_422_with_or_without_a_token(lab: Lab, http: Client, token: str | None) -> None:
    body = b'{"message": "hola",}'
    answer = await http.ask("POST", lab.gateway_url + "/operator/api/chat", token=token, data=body, headers=JSON)
    assert answer.status == 422
    assert first(answer)["type"] == "json_invalid"
    assert first(answer)["loc"][0] == "body"
    assert isinstance(first(answer)["loc"][1], int)
    assert first(answer)["msg"] == "JSON decode error"
    assert first(answer)["input"] == {}
    assert "error" in first(answer)["ctx"]


async def test_a_missing_message(lab: Lab, http: Client) -> None:
    answer = await http.post(lab.gateway_url + "/operator/api/chat", {"text": "x"})
    assert answer.status == 422
    assert first(answer)["type"] == "missing"
    assert first(answer)["loc"] == ["body", "message"]
    assert first(answer)["msg"] == "Field required"
    assert first(answer)["input"] == {"text": "x"}
    assert first(answer)["url"].startswith("https://errors.pydantic.dev/")
    assert (await http.post(lab.gateway_url + "/operator/api/chat", {"text": "x"}, token=None)).status == 401


async def test_an_empty_body(lab: Lab, http: Client) -> None:
    answer = await http.ask("POST", lab.gateway_url + "/operator/api/chat")
    assert answer.status == 422
    assert first(answer) == {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}


@pytest.mark.parametrize(
    ("body", "kind", "where"),
    [
        ({"message": 42}, "string_type", ["body", "message"]),
        ({"message": None}, "string_type", ["body", "message"]),
        ({"message": {}}, "string_type", ["body", "message"]),
        ({"message": "x", "session_id": 7}, "string_type", ["body", "session_id"]),
        ({"message": "x", "metadata": [1]}, "dict_type", ["body", "metadata"]),
        ([1], "model_attributes_type", ["body"]),
        ("text", "model_attributes_type", ["body"]),
    ],
)
async def test_fields_of_the_wrong_type(lab: Lab, http: Client, body: Any, kind: str, where: list[str]) -> None:
    answer = await http.post(lab.gateway_url + "/operator/api/chat", body)
    assert answer.status == 422
    assert (first(answer)["type"], first(answer)["loc"]) == (kind, where)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        ("text/plain", 422),
        ("application/x-www-form-urlencoded", 422),
    ],
)
async def test_content_types(lab: Lab, http: Client, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    answer = await http.ask("POST", lab.gateway_url + "/operator/api/chat", data=b'{"message":"x"}', headers=headers)
    assert answer.status == status
    if status == 422:
        assert first(answer)["type"] == "model_attributes_type"


async def test_no_content_type_is_json(lab: Lab, http: Client) -> None:
    async with http.session.post(
        lab.gateway_url + "/operator/api/chat",
        data=b'{"message":"x"}',
        headers={"x-vx11-token": lab.token},
        skip_auto_headers=["Content-Type"],
    ) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("body", [b'{"message":"\xff"}', b'{"message":' + b"[" * 100_000])
async def test_what_cannot_be_parsed_at_all(lab: Lab, http: Client, body: bytes) -> None:
    answer = await http.ask("POST", lab.gateway_url + "/operator/api/chat", data=body, headers=JSON)
    assert (answer.status, answer.json) == (400, {"detail": "There was an error parsing the body"})


async def test_unknown_fields_are_ignored(lab: Lab, http: Client) -> None:
    body = {"message": "", "correlation_id": "ignored", "future": 1}
    assert (await http.post(lab.gateway_url + "/operator/api/chat", body)).status == 200
