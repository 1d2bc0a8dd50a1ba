"""A sidecar with a candidate beside its policy: real servers, real time, what the figures say, and that nobody is asked for them."""

from __future__ import annotations

import asyncio

import pytest
from canary import LINK

from sidecar.edge.outlets import shadow as module
from sidecar.edge.reload import LOOK
from sidecar.lab.town import Lab
from sidecar.policy.load import PolicyError

ONE_SECOND = "targets: [{name: switch, timeouts: {attempt: 1s}}, {name: madre}, {name: local}]\n"
CHAT = "POST /switch/chat"


@pytest.fixture
def candidate(tmp_path):
    path = tmp_path / "candidate.yaml"
    path.write_text(ONE_SECOND)
    return path


async def test_it_says_what_would_have_been_and_asks_nobody(office, candidate):
    async with Lab(token=LINK, faults=("switch=slow:1.4", "madre=detached")) as lab:
        places = {name: lab.urls[name] for name in ("gateway", "switch", "madre")}
        async with office(shadow=str(candidate), **places) as here:
            slow = await asyncio.gather(here.chat(), here.chat())
            assert {answer["provider"] for answer in slow} == {"switch"}
            await lab.clear("switch")
            assert (await here.chat())["provider"] == "switch"
            await lab.fault("switch", "hang")
            assert (await here.chat())[
                "provider"
            ] == "madre"  # after 3.25 s; the candidate would have asked her after 1 s
            shadow = (await here.state())["shadow"]
            assert (shadow["source"], shadow["problems"], shadow["fault"]) == (str(candidate), [], None)
            assert (shadow["agrees"], shadow["not_primary"]) == (1, 3)
            assert shadow["differs"] == {"primary": {"not_primary": 2}}
            assert shadow["undecided"] == {"not_asked": 2, "other_moment": 1}
            assert [each["active"] for each in shadow["examples"]] == ["primary", "primary"]
            assert shadow["targets"]["switch"]["breaker"]["failures_in_row"] == [1, 3]
            for name, labels, value in (
                ("shadow_running", {}, 1),
                ("shadow_policy_info", {"revision": shadow["revision"], "source": str(candidate)}, 1),
                ("shadow_calls_total", {"result": "agrees"}, 1),
                ("shadow_calls_total", {"result": "not_primary"}, 3),
                ("shadow_differences_total", {"active": "primary", "candidate": "not_primary"}, 2),
                ("shadow_differences_total", {"active": "fallback", "candidate": "not_primary"}, 0),
                ("shadow_undecided_total", {"why": "other_moment"}, 1),
                ("shadow_breaker_state", {"target": "switch", "state": "closed"}, 1),
                ("shadow_breaker_state", {"target": "madre", "state": "open"}, 0),
                ("shadow_last_reload_successful", {}, 1),
            ):
                assert await here.metric(name, **labels) == value, (name, labels)
        # exactly what the policy in force asks: four chats at the switch, the last of them at madre as well
        assert lab.requests("switch") == {CHAT: 4}
        assert {asked: count for asked, count in lab.requests("madre").items() if asked.startswith("POST")} == {
            "POST /madre/chat": 1
        }


async def test_without_one_there_is_none(office):
    async with office() as here:
        assert (await here.state())["shadow"] is None
        assert await here.metric("shadow_running") == 0
        assert "shadow_policy_info{" not in (await here.ask("GET", "/metrics", token=None))[1]
        assert "candidate_problems" not in (await here.post("/reload"))[1]


async def test_a_saved_candidate_begins_anew_and_a_bad_one_changes_nothing(office, candidate):
    async with office(shadow=str(candidate)) as here:
        first = (await here.state())["shadow"]["revision"]
        candidate.write_text("targets: [{name: switch}]\n")
        second = (await here.logged("candidate_reloaded"))[0]["revision"]
        assert first != second
        assert (await here.state())["shadow"]["revision"] == second
        candidate.write_text("deadline: {client: -3s}\n")
        problems = (await here.logged("candidate_rejected"))[0]["problems"]
        assert problems[0].startswith(f"{candidate}:1:20: ")
        state = await here.state()
        assert (state["shadow"]["revision"], state["shadow"]["problems"]) == (second, problems)
        assert state["notes"] == [
            f"the candidate's files cannot be used, the candidate before goes on: {problem}" for problem in problems
        ]
        assert state["policy_problems"] == []
        assert await here.metric("shadow_last_reload_successful") == 0
        assert await here.metric("policy_last_reload_successful") == 1
        status, told = await here.post("/reload")
        assert (status, told["problems"], told["candidate_problems"]) == (200, [], problems)
        candidate.write_text(ONE_SECOND)
        here.sidecar.reload()
        assert (await here.state())["shadow"]["revision"] == first
        assert await here.metric("shadow_last_reload_successful") == 1


async def test_a_bad_policy_does_not_hold_up_the_candidate(office, candidate):
    async with office(shadow=str(candidate)) as here:
        here.path.write_text("deadline: {client: -3s}\n")
        candidate.write_text("targets: [{name: switch}]\n")
        await here.logged("candidate_reloaded")
        await here.logged("policy_rejected")
        await asyncio.sleep(LOOK)
        assert set((await here.state())["shadow"]["targets"]) == {"switch"}


async def test_a_reload_of_the_policy_leaves_the_candidate_as_it_is(office, candidate):
    async with office(shadow=str(candidate)) as here:
        await here.chat()
        here.path.write_text("deadline: {client: 4s}\n")
        assert (await here.post("/reload"))[0] == 200
        await here.chat()
        assert (await here.state())["shadow"]["agrees"] == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("deadline: {client: 5}\n", "candidate.yaml:1:20: "),
        ("mode: 'off'\n", "candidate.yaml:1:7: mode: off answers no chat"),
    ],
)
async def test_a_candidate_that_cannot_be_used_is_refused_at_the_start(office, candidate, text, complaint):
    candidate.write_text(text)
    with pytest.raises(ValueError, match=complaint.replace(".", r"\.")):
        async with office(shadow=str(candidate)):
            pass
    candidate.unlink()
    with pytest.raises(PolicyError, match="cannot be read"):
        async with office(shadow=str(candidate)):
            pass


async def test_a_fault_in_it_touches_no_chat_and_is_said(office, candidate, monkeypatch):
    async with office(shadow=str(candidate)) as here:
        await here.chat()

        def broken(_shadow, _fact):
            raise RuntimeError("what a user said")

        monkeypatch.setattr(module.Shadow, "take", broken)
        answers = await asyncio.gather(*(here.chat() for _ in range(3)))
        assert [answer["provider"] for answer in answers] == ["local"] * 3
        assert [line["error"] for line in await here.logged("shadow_failed")] == ["RuntimeError"]
        state = await here.state()
        assert state["shadow"]["fault"] == "RuntimeError"
        assert state["notes"] == [
            "a fault of the sidecar, RuntimeError, has ended the candidate and nothing else: please report it"
        ]
        assert await here.metric("shadow_running") == 0
        assert (await here.ask("GET", "/readyz", token=None))[0] == 200
