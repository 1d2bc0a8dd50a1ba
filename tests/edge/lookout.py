"""What the tests of observing share: a stage whose chats are relayed, looked at or not, and what was seen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from loopback import CHAT, PSEUDONYM, Gateway, Stage, judge, serving, stage

from sidecar.core.fact import ChatObserved
from sidecar.edge.chat.observation import Guard
from sidecar.edge.data.observing import Observing
from sidecar.edge.data.witness import Memory, Watch
from sidecar.policy.model import Policy
from sidecar.wire import head
from sidecar.wire.heads import Heads
from sidecar.wire.target import Routes

DATE = re.compile(rb"\r\nDate: [^\r]*")
RULES = head.rules(Routes((), ("/debug/*",)), pseudonym=PSEUDONYM, authority=b"gateway:8000")
PATIENCE = 3.0  # seconds until a conversation that goes on is cut


@asynccontextmanager
async def relaying(upstream: int, mode: str = "shadow", /, **policy: Any) -> AsyncIterator[tuple[Stage, Memory]]:
    """The data port as under ``mode: off`` or ``mode: shadow``, with a policy that says ``policy`` besides. ``now`` may be a clock."""
    memory = Memory()
    async with stage(upstream) as port:
        look(port, memory, mode, **policy)
        yield port, memory


def look(port: Stage, memory: Memory, mode: str = "shadow", /, **policy: Any) -> None:
    """As a reload does it."""
    now = policy.pop("now", asyncio.get_running_loop().time)
    said = Policy.model_validate({"intercept": {"paths": list(CHAT)}, **policy})
    memory.windows.max_keys = said.guards.max_sessions
    watch = Watch(Guard(said, judge, memory.windows), memory, port.facts.append, now)
    port.terms(heads=Heads(RULES), relay=Observing(port.relay, watch) if mode == "shadow" else port.relay)


def observed(port: Stage) -> list[ChatObserved]:
    return [fact for fact in port.facts if isinstance(fact, ChatObserved)]


def words(port: Stage) -> list[tuple[str, str, str, int | None]]:
    return [(fact.route, fact.would, fact.gateway, fact.status) for fact in observed(port)]


class Said(NamedTuple):
    """What both ends saw: the client every byte but the time of day and how it ended, the gateway every byte of each connection."""

    client: bytes
    end: str
    gateway: bytes
    asked: int


async def converse(
    mode: str, pieces: list[bytes | float], gateway: Gateway, enough: Callable[[bytes], bool] = lambda _: False
) -> tuple[Said, list[Any]]:
    """Send bytes and wait seconds, as they come in ``pieces``; ``HANG_UP`` ends it without reading. What was seen, and the facts."""
    async with serving(gateway) as upstream, relaying(upstream, mode) as (port, memory):
        reader, writer = await port.connect()
        out, end = b"", "open"
        with suppress(ConnectionError):
            for piece in pieces:
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                elif piece is HANG_UP:
                    writer.transport.abort()
                    break
                else:
                    writer.write(piece)
                    await asyncio.sleep(0)
        try:
            async with asyncio.timeout(PATIENCE):
                while not enough(out):
                    more = await reader.read(65_536)
                    if not more:
                        end = "closed"
                        break
                    out += more
        except TimeoutError:
            end = "silent"
        except ConnectionError:
            end = "reset"
        writer.close()
        await port.until(lambda: not len(port.data_port))
        await asyncio.sleep(0.01)
        assert memory.copies == 0
    return Said(DATE.sub(b"", out), end, gateway.raw, len(gateway.done)), port.facts


HANG_UP = b"hang up"
