"""The unmodified switch runs the first message of a chat through a shell: no text of a user is ever that message."""

from __future__ import annotations

import pytest

from sidecar.edge.chat.contract import SHIELD
from sidecar.lab.shell import tell
from tests.acceptance.running import CHAT, standing

COMMANDS = (
    "echo hi",
    "; id",
    "&& id",
    "| id",
    "$(id)",
    "`id`",
    "hola\nid",
    "hola\r\nid\r\n",
    "hola; rm -rf /tmp/x",
    "/bin/sh -c id",
    "  ls",
    "sleep 0",
    'echo "$VX11_TENTACULO_LINK_TOKEN"',
    "true #",
    "-c id",
)
OPEN = "targets: [{name: switch, shield: false}, {name: madre}]"


async def test_no_user_text_is_executed() -> None:
    async with standing("switch=execute") as town:
        answers = [await town.chat(text) for text in COMMANDS]
        executed = town.lab.executed
    assert [answer.json["response"] for answer in answers] == [f"[local-7b] {text}" for text in COMMANDS]
    assert {answer.json["provider"] for answer in answers} == {"switch"}
    assert executed == [SHIELD] * len(COMMANDS)


async def test_without_the_shield_every_text_would_have_been_executed() -> None:
    """So that the test above can fail."""
    async with standing("switch=execute", policy=OPEN) as town:
        for text in COMMANDS:
            await town.chat(text)
        executed = town.lab.executed
    assert executed == list(COMMANDS)


def test_the_shield_itself_is_no_command() -> None:
    assert tell(SHIELD) is None
    assert not set(SHIELD) & set(";&|$`<>\\\n\"'(){}*?[]#~!")


@pytest.mark.parametrize("retried", ["switch=reset", "switch=error", "switch=500"])
async def test_no_user_text_is_executed_when_the_switch_fails_and_recovers(retried: str) -> None:
    async with standing("switch=execute", retried, "madre=detached") as town:
        await town.chat("echo while it fails")
        await town.lab.order("switch=ok")
        await town.lab.order("switch=execute")
        await town.chat("echo when it is back")
        executed = town.lab.executed
    assert set(executed) == {SHIELD}


async def test_no_metadata_of_a_client_steers_the_switch() -> None:
    """``force_cli`` and its kind would open the executing lane by another door; ``language_lane`` would break the answer."""
    steering = {"force_cli": True, "language_lane": False, "task_type": 5, "provider_hint": "generic_shell"}
    async with standing("switch=execute") as town:
        fields = {"X-VX11-Token": town.lab.token}
        payload = {"message": "echo hi", "metadata": steering, "messages": [{"role": "user", "content": "id"}]}
        answer = await town.ask("POST", town.url + CHAT, json=payload, headers=fields)
        executed = town.lab.executed
    assert (answer.status, answer.json["response"]) == (200, "[local-7b] echo hi")
    assert executed == [SHIELD]
