"""Chaos on a whole sidecar: a file alone, the flag, an operator's order, and that everybody who looks is told."""

from __future__ import annotations

import pytest
from kitchen import Peer, answering, http
from office import BASE, standing
from test_injection import GOOD

from sidecar.policy.load import Loaded
from sidecar.replay.study import pasts, study, trial

RULE = "{name: broken, target: switch, percentage: 100%, abort: 503, expires_at: '2099-01-01T00:00:00Z'}"
RULES = f"{BASE}chaos: [{RULE}]\n"
WHO = {"author": "ana", "reason": "game day", "ttl": "10m"}


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(RULES)
    return path


async def notes(office):
    return (await office.ask("GET", "/readyz?verbose", token=None))[1]["notes"]


async def test_a_file_alone_does_nothing_and_says_so(written):
    async with Peer(answering(GOOD)) as switch, standing(written, switch=f"127.0.0.1:{switch.port}") as office:
        assert (await office.chat())["provider"] == "switch"
        assert (await office.logged("chaos_not_armed"))[0]["rules"] == 1
        assert any("nothing is broken" in note for note in await notes(office))
        assert await office.metric("chaos_active") == 0
        assert (await office.state())["chaos"]["active"] is False


async def test_an_operator_switches_it_on_and_off(written):
    async with Peer(answering(GOOD)) as switch, standing(written, switch=f"127.0.0.1:{switch.port}") as office:
        status, told = await office.post("/chaos", WHO)
        assert (status, told["chaos"]["active"], told["chaos"]["author"]) == (200, True, "ana")
        assert (await office.chat(**{"X-Correlation-Id": "broken-1"}))["degraded"] is True
        assert switch.requests == []
        assert await office.metric("chaos_active") == 1
        assert await office.metric("chaos_faults_total", target="switch", fault="abort") == 1
        assert (await notes(office))[0].startswith("CHAOS is on: attempts on targets are broken on purpose (broken)")
        assert (await office.logged("chaos_ordered"))[0]["reason"] == "game day"
        facts = (await office.ask("GET", "/calls/broken-1", token=None))[1]["facts"]
        assert {"fact": "FaultInjected", "fault": "abort", "rule": "broken"}.items() <= facts[2].items()
        attempt = (await office.ask("GET", "/calls", token=None))[1]["last"][0]["attempts"][0]
        assert (attempt["result"], attempt["broken_by"]) == ("HTTP 503", "broken")

        assert (await office.post("/chaos/stop"))[0] == 200
        assert (await office.chat())["provider"] == "switch"
        assert await office.metric("chaos_active") == 0
        status, told = await office.post("/chaos/stop")
        assert (status, told["detail"]) == (409, "nothing was broken on purpose")


async def test_orders_need_the_admin_token_and_one_that_is_configured(written):
    async with standing(written) as office:
        assert (await office.post("/chaos", WHO, token=None))[0] == 401
        assert (await office.post("/chaos", WHO, token="guessed"))[0] == 403
        assert (await office.post("/chaos", {**WHO, "ttl": "5h"}))[0] == 400
        assert (await office.post("/chaos", {**WHO, "ttl": 60}))[0] == 400
        assert (await office.post("/chaos", {**WHO, "rules": []}))[0] == 400
        assert (await office.state())["chaos"]["active"] is False
    async with standing(written, admin=None) as office:
        status, told = await office.post("/chaos", WHO)
        assert (status, "no admin token is configured" in told["detail"]) == (403, True)
        assert (await office.post("/chaos/stop"))[0] == 403
        assert (await office.state())["chaos"]["active"] is False


async def test_the_flag_lets_rules_act_and_a_reload_takes_them_away(written):
    async with (
        Peer(answering(GOOD)) as switch,
        standing(written, allow_chaos=True, switch=f"127.0.0.1:{switch.port}") as office,
    ):
        assert (await office.chat())["degraded"] is True
        assert (await office.state())["chaos"]["allowed_by"] == "--allow-chaos"
        written.write_text(BASE)
        assert (await office.post("/reload"))[0] == 200
        assert (await office.chat())["provider"] == "switch"
        assert (await office.state())["chaos"] is None
        assert (await office.logged("chaos_off"))[0]["why"] == "policy"


async def test_what_has_expired_is_never_switched_on(written):
    written.write_text(RULES.replace("2099", "2020"))
    async with Peer(answering(http(b"{}"))) as switch:
        async with standing(written, allow_chaos=True, switch=f"127.0.0.1:{switch.port}") as office:
            await office.chat()
            status, told = await office.post("/chaos", WHO)
            assert (status, "nothing to switch on" in told["detail"]) == (409, True)
            assert await office.metric("chaos_active") == 0
            assert await notes(office) == []
        assert len(switch.requests) == 1


async def test_a_run_with_chaos_is_replayed_exactly(written, tmp_path):
    rules = "[{name: half, target: any, percentage: 50%, abort: connect, expires_at: '2099-01-01T00:00:00Z'}]"
    written.write_text(f"{BASE}guards: {{anonymous_rate_limit: 100 per 1s}}\nchaos: {rules}\n")
    directory = tmp_path / "journal"
    async with (
        Peer(answering(GOOD)) as switch,
        standing(written, allow_chaos=True, switch=f"127.0.0.1:{switch.port}", journal=str(directory)) as office,
    ):
        for _ in range(30):
            await office.chat()
        faults = await office.metric("chaos_faults_total", target="switch", fault="abort")
    assert faults > 0
    found = study([directory])
    assert (found.fidelity.calls, found.fidelity.same, found.skipped) == (30, 30, 0)
    assert sum(record.broken for record in found.records) >= faults
    # The same decisions with the same seed: its own policy in a replay breaks what was broken live.
    (tried,) = (trial(pasts(found), Loaded(found.records[0].policies[0], "r", "p", {})),)
    assert tried.summary.providers == found.recorded.providers
