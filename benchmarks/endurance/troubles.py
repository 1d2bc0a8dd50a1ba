"""What goes wrong meanwhile, drawn: faults of the targets, policies that are saved, some of them none, and overrides."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from benchmarks.endurance.town import NO_POLICY, POLICIES, Town
from benchmarks.faults.catalogue import FAULTS, Fault
from benchmarks.faults.target import well

USABLE = tuple(fault for fault in FAULTS if fault.at_once == 1 and fault.leaves is None and "name" not in fault.name)
KINDS = ("forced_open", "forced_closed", "off")
BROKEN = 0.2  # of the policies that are saved


class Troubles:
    """Each kind in a task of its own; ``counts`` is what there was. ``end`` mends everything."""

    def __init__(self, town: Town, seed: int) -> None:
        self._town = town
        self._seed = seed
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in (self._faults("switch"), self._faults("madre"), self._reloads(), self._overrides()):
                group.create_task(each)

    async def end(self) -> None:
        for target in self._town.targets.values():
            target.turn = lambda _: well
            await target.open()
        self._town.policy.write_text(POLICIES[0], "utf-8")
        for role in ("switch", "madre"):
            await self._town.order("/overrides/release", target=role)

    def _luck(self, what: str) -> random.Random:
        return random.Random(f"{what} {self._seed}")

    async def _faults(self, role: str) -> None:
        """The switch is ill for a third of the time, madre for a fifth."""
        luck, target = self._luck(role), self._town.targets[role]
        fine = (4.0, 12.0) if role == "switch" else (8.0, 24.0)
        while True:
            await asyncio.sleep(luck.uniform(*fine))
            fault = luck.choice([fault for fault in USABLE if role in fault.of])
            self.counts[f"faults of {role}"] += 1
            await self._show(role, fault)
            await asyncio.sleep(luck.uniform(1.0, 8.0))
            target.turn = lambda _: well
            await target.open()

    async def _show(self, role: str, fault: Fault) -> None:
        target = self._town.targets[role]
        if fault.comes(0).manner is None:
            await target.shut()
        else:
            target.turn = lambda number: fault.comes(number).manner or well

    async def _reloads(self) -> None:
        luck = self._luck("reloads")
        while True:
            await asyncio.sleep(luck.uniform(8.0, 25.0))
            broken = luck.random() < BROKEN
            self._town.policy.write_text(NO_POLICY if broken else luck.choice(POLICIES), "utf-8")
            self.counts["policies that are none" if broken else "policies saved"] += 1

    async def _overrides(self) -> None:
        luck = self._luck("overrides")
        while True:
            await asyncio.sleep(luck.uniform(15.0, 45.0))
            target, kind = luck.choice(("switch", "madre")), luck.choice(KINDS)
            status = await self._town.order(
                "/overrides", target=target, kind=kind, author="soak", reason="soak test", ttl=f"{luck.randint(2, 9)}s"
            )
            self.counts["overrides" if status < 400 else f"overrides refused: {status}"] += 1
