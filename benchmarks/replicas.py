"""Several sidecars in front of one VX11, and limits that they keep together in a Redis.

    flood    one session sends far more than it may, by all replicas at once
    outage   Redis is killed under load and started again with nothing in it
    killed   a replica is killed under load; the figures are those of the others

``--brief`` is the form of the tests: a few seconds each. Exits with 1 if a claim does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

import uvloop

from benchmarks.parts import quantile, table
from benchmarks.policies.client import Chat, Client
from benchmarks.policies.scene import Claim, Figures, Sides
from benchmarks.policies.scrape import Scrape
from benchmarks.policies.stage import Setting, served, session
from benchmarks.redis_server import RedisServer
from sidecar.lab.load import poisson
from sidecar.lab.luck import new_seed
from sidecar.lab.town import DEFAULT_TOKEN, Lab

REPLICAS = 3
LIMIT, PER = 10, 5.0  # chats of a session, and seconds
POLICY = f"guards: {{rate_limit: {LIMIT} per {PER:g}s}}\nshared: {{timeout: 200ms, pause: 500ms}}\n"
SWITCH = "switch=lognormal:0.02:0.2"
LOAD = 30.0  # chats a second in sessions of their own, by all replicas together
BUSY = 10.0  # and in one session that sends five times as much as it may
BACK = 3.0  # seconds after which limits must hold together again


class Replica(NamedTuple):
    client: Client
    admin: str
    pid: int

    async def store(self) -> str:
        """Whether its store is up, away or off."""
        scrape = Scrape((await self.client.fetch("GET", self.admin + "/metrics")).decode())
        return next(state for state in ("up", "away", "off") if scrape.counted("shared_store", state=state))


class Town(NamedTuple):
    replicas: list[Replica]
    redis: RedisServer
    seed: int
    seconds: float

    async def load(self) -> list[list[Chat]]:
        """Everybody's chats, by replica, for ``seconds``: most in sessions of their own, some in one that is busy."""
        many = len(self.replicas)
        loads = (self._share(number, LOAD / many, None) for number in range(many))
        busy = (self._share(number + many, BUSY / many, "busy") for number in range(many))
        found = await asyncio.gather(*loads, *busy)
        return [[*found[number], *found[number + many]] for number in range(many)]

    async def _share(self, number: int, rate: float, named: str | None) -> list[Chat]:
        client = self.replicas[number % len(self.replicas)].client
        offsets = poisson(self.seed + number, rate, round(rate * self.seconds))
        if named is not None:
            return await client.at(offsets, lambda _: named)
        return await client.at(offsets, lambda turn: f"own-{number}-{turn}")

    async def stores(self, wanted: str) -> float:
        """Until the store of every replica is ``wanted``; seconds."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(20.0):
            for replica in self.replicas:
                while await replica.store() != wanted:  # noqa: ASYNC110 - another process says it, when asked
                    await asyncio.sleep(0.05)
        return loop.time() - began


@contextlib.asynccontextmanager
async def town(seed: int, seconds: float, *, shared: bool = True) -> AsyncIterator[Town]:
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(RedisServer())
        lab = await stack.enter_async_context(Lab(faults=(SWITCH,), seed=seed))
        setting = Setting(POLICY, (), seed, redis=redis.url if shared else "")
        replicas = []
        for _ in range(REPLICAS):
            said = await stack.enter_async_context(served(lab, setting))
            connections = await stack.enter_async_context(session())
            client = Client(connections, f"http://{said['listen']}", DEFAULT_TOKEN)
            replicas.append(Replica(client, f"http://{said['admin']}", said["pid"]))
        made = Town(replicas, redis, seed, seconds)
        await made.stores("up" if shared else "off")
        yield made


# -- what is played ----------------------------------------------------------------------------------------------------


async def flood(seed: int, *, brief: bool) -> dict[str, Figures]:
    sides = {}
    for side, shared in (("each alone", False), ("together", True)):
        async with town(seed, 0.0, shared=shared) as here:
            passed = []
            for turn in range(2 if brief else 10):
                chats = await asyncio.gather(
                    *(
                        replica.client.chat(session=f"flood-{turn}")
                        for _ in range(20 if brief else 100)
                        for replica in here.replicas
                    )
                )
                passed.append(sum(chat.status == 200 for chat in chats))
            answers = 2 if brief else 10
            sides[side] = {
                "floods": answers,
                "chats in each": len(chats),
                "passed, at least": min(passed),
                "passed, at most": max(passed),
            }
    return sides


async def outage(seed: int, *, brief: bool) -> dict[str, Figures]:
    third = 4.0 if brief else 10.0
    async with town(seed, 3 * third) as here:
        load = asyncio.ensure_future(here.load())
        await asyncio.sleep(third)
        await here.redis.kill()
        away = await here.stores("away")
        await asyncio.sleep(third - away)
        await here.redis.start()
        back = await here.stores("up")
        chats = [chat for each in await load for chat in each]
    before, gone, after = (
        [chat for chat in chats if number * third <= chat.start < (number + 1) * third] for number in range(3)
    )
    return {
        "before": _told(before, third),
        "without Redis": _told(gone, third) | {"seconds until all knew": away},
        "after": _told(after, third) | {"seconds until limits were back": back},
    }


async def killed(seed: int, *, brief: bool) -> dict[str, Figures]:
    half = 4.0 if brief else 15.0
    async with town(seed, 2 * half) as here:
        load = asyncio.ensure_future(here.load())
        await asyncio.sleep(half)
        os.kill(here.replicas[-1].pid, signal.SIGKILL)
        by_replica = await load
    others = [chat for each in by_replica[:-1] for chat in each]
    before, after = ([chat for chat in others if (chat.start >= half) is later] for later in (False, True))
    return {"the others before": _told(before, half), "the others after": _told(after, half)}


def _told(chats: list[Chat], seconds: float) -> Figures:
    busy = [chat for chat in chats if chat.session == "busy"]
    own = [chat for chat in chats if chat.session != "busy"]
    times = [chat.seconds for chat in own]
    return {
        "chats": len(chats),
        "failed": sum(chat.status not in (200, 429) for chat in chats),
        "degraded": sum(chat.degraded for chat in chats),
        "refused, of sessions of their own": sum(chat.status == 429 for chat in own),
        "p50 ms": 1000 * quantile(times, 0.5),
        "p99 ms": 1000 * quantile(times, 0.99),
        "busy session, sent a second": len(busy) / seconds,
        "and passed a second": sum(chat.status == 200 for chat in busy) / seconds,
    }


ALLOWED = LIMIT / PER  # a second


def _none(name: str, words: str) -> Claim:
    return Claim(words, lambda it: all(side[name] == 0 for side in it.values()))


UNHARMED = (
    _none("failed", "no chat fails"),
    _none("degraded", "none is degraded"),
    _none("refused, of sessions of their own", "nobody is refused who sends little"),
)
SCENES: Mapping[str, tuple[Callable[..., Awaitable[Sides]], Sequence[Claim]]] = {
    "flood": (
        flood,
        (
            Claim(
                "together: exactly the limit passes",
                lambda it: it["together"]["passed, at least"] == it["together"]["passed, at most"] == LIMIT,
            ),
            Claim(
                "alone: the limit of each passes", lambda it: it["each alone"]["passed, at most"] == REPLICAS * LIMIT
            ),
        ),
    ),
    "outage": (
        outage,
        (
            *UNHARMED,
            Claim(
                "without Redis the busy session passes no more than the replicas' limits together",
                lambda it: it["without Redis"]["and passed a second"] <= REPLICAS * ALLOWED * 1.6,
            ),
            Claim(
                f"limits are back within {BACK:g} seconds",
                lambda it: it["after"]["seconds until limits were back"] <= BACK,
            ),
            Claim(
                "and hold as before: what the store forgot is let pass once more",
                lambda it: it["after"]["and passed a second"] <= ALLOWED + 2 * LIMIT / PER,
            ),
        ),
    ),
    "killed": (
        killed,
        (
            *UNHARMED,
            Claim(
                "the busy session passes no more than it may",
                lambda it: it["the others after"]["and passed a second"] <= ALLOWED + LIMIT / PER,
            ),
            Claim(
                "the others answer as fast: the median is no longer by more than a fifth",
                lambda it: it["the others after"]["p50 ms"] <= 1.2 * it["the others before"]["p50 ms"],
                timed=True,
            ),
        ),
    ),
}


def play(name: str, seed: int, *, brief: bool) -> tuple[Sides, list[str]]:
    """What a scene came to, and the claims that do not hold; briefly those about times are left out."""
    scene, claims = SCENES[name]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(scene(seed, brief=brief))
    asked = [claim for claim in claims if not (brief and claim.timed)]
    return found, [claim.words for claim in asked if not claim.holds(found)]


def rows(found: Sides) -> list[list[str]]:
    names = dict.fromkeys(name for side in found.values() for name in side)
    return [[name, *(f"{side[name]:.4g}" if name in side else "" for side in found.values())] for name in names]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--seed", type=int, default=new_seed())
    options = parser.parse_args(arguments)
    unknown = [name for name in options.scenes if name not in SCENES]
    if unknown:
        parser.error(f"no scene {unknown[0]!r}; there are {', '.join(SCENES)}")
    print(f"{REPLICAS} replicas, {LIMIT} chats per {PER:g} s for a session, seed {options.seed}")
    missed = []
    for name in options.scenes or SCENES:
        found, broken = play(name, Random(f"{options.seed} {name}").getrandbits(31), brief=options.brief)
        print()
        table([name, *found], rows(found))
        for claim in SCENES[name][1]:
            if not (options.brief and claim.timed):
                print(f"{'BROKEN' if claim.words in broken else 'holds '} {claim.words}")
        missed += broken
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
