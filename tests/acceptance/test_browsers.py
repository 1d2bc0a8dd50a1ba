"""Pages on the gateway's origins may talk to the sidecar as they talk to the gateway."""

from __future__ import annotations

from tests.acceptance.running import CHAT, Answer, Standing, standing

PAGE, STRANGER = "http://localhost:5173", "http://evil.example"


async def preflight(town: Standing, origin: str, url: str) -> Answer:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-vx11-token"}
    return await town.ask("OPTIONS", url + CHAT, headers={"Origin": origin, **asks})


async def test_a_preflight_is_the_gateways_to_answer() -> None:
    async with standing() as town:
        for origin, status in ((PAGE, 200), (STRANGER, 400)):
            through, direct = (
                await preflight(town, origin, town.url),
                await preflight(town, origin, town.lab.gateway_url),
            )
            assert (through.status, through.body) == (status, direct.body)
            for name in direct.headers:
                if name.lower().startswith("access-control-"):
                    assert through.headers[name] == direct.headers[name]
        assert town.lab.requests("gateway")["OPTIONS " + CHAT] == 4


async def test_every_answer_of_ours_may_be_read_by_a_page_of_the_gateway() -> None:
    async with standing() as town:
        answers = [
            await town.chat(Origin=PAGE),
            await town.chat(token="", Origin=PAGE),
            await town.chat(token="wrong", Origin=PAGE),
            await town.chat("x" * 4001, Origin=PAGE),
            await town.ask(
                "POST", town.url + CHAT, data=b"{", headers={"X-VX11-Token": town.lab.token, "Origin": PAGE}
            ),
            *[await town.chat(session="s", Origin=PAGE) for _ in range(11)],
        ]
    assert [answer.status for answer in answers] == [200, 401, 403, 413, 422, *[200] * 10, 429]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "X-Correlation-Id" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]


async def test_a_page_elsewhere_gets_an_answer_it_may_not_read() -> None:
    async with standing() as town:
        answers = [await town.chat(Origin=STRANGER), await town.chat(token="", Origin=STRANGER), await town.chat()]
    assert [answer.status for answer in answers] == [200, 401, 200]
    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)
    assert all("Origin" in answer.headers["Vary"] for answer in answers)


async def test_the_ui_is_served_under_either_spelling_of_the_route() -> None:
    async with standing() as town:
        fields = {"X-VX11-Token": town.lab.token}
        for path in ("/operator/api/chat", "/operator/api/v1/chat", "/operator/api/ch%61t", "/operator/api/chat?x=1"):
            answer = await town.ask("POST", town.url + path, json={"message": "hola"}, headers=fields)
            assert answer.json["provider"] == "switch"
            assert {"response", "correlation_id", "fallback_source", "degraded"} <= answer.json.keys()
