"""A scenario file: what shall go wrong in a replay, in YAML.

    capacity: {switch: 1, madre: unlimited}      # requests worked on at once; auto (default): what the journal says
    disturbances:
      - {target: switch, from: 10m, for: 5m, outage: hang}
      - {target: switch, from: 0s, for: 10s, every: 20s, outage: refuse}          # flapping
      - {target: madre, from: 1h, for: 30m, brownout: {times: 3, plus: 500ms, failing: 20%}}
      - {from: 2h, for: 1m, chats: 4}                                             # a flood: four times as many

Times count from the first chat of each run. Every mistake is reported with file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File
from typing import NamedTuple

from sidecar.policy.problem import PolicyError
from sidecar.policy.source import Node, Path, read
from sidecar.replay.form import Form, text_of
from sidecar.replay.worlds.disturbed import MOST_TIMES, OUTAGES, Brownout, Disturbance, Flood, Outage, When
from sidecar.replay.worlds.past import AUTO

TARGETS = ("switch", "madre")
UNLIMITED = "unlimited"
MOST_SERVERS = 1_000
_WHEN = ("from", "for", "every")
_WHAT = ("outage", "brownout", "chats")


class Scenario(NamedTuple):
    """``servers`` by target: how many it works on at once, None for as many as ask, ``auto`` for what the record says."""

    name: str = ""
    servers: Mapping[str, int | str | None] = {}
    disturbances: tuple[Disturbance, ...] = ()
    floods: tuple[Flood, ...] = ()


NOTHING = Scenario()


def read_scenario(file: File) -> Scenario:
    """Raises PolicyError with everything that is wrong with ``file``."""
    root, found = read(text_of(file), str(file))
    form = Form(found)
    scenario = NOTHING if root is None else _Reader(form).scenario(root, str(file))
    if form.problems:
        raise PolicyError(form.problems)
    return scenario


class _Reader:
    def __init__(self, form: Form) -> None:
        self._form = form

    def scenario(self, root: Node, name: str) -> Scenario:
        stated = self._form.mapping(root, (), ("capacity", "disturbances"))
        servers = self._capacity(stated["capacity"]) if "capacity" in stated else {}
        found: list[Disturbance | Flood | None] = []
        if "disturbances" in stated:
            entries = self._form.entries(stated["disturbances"], ("disturbances",), "disturbances")
            found = [self._disturbance(node, path) for path, node in entries]
        return Scenario(
            name,
            servers,
            tuple(one for one in found if isinstance(one, Outage | Brownout)),
            tuple(one for one in found if isinstance(one, Flood)),
        )

    def _capacity(self, node: Node) -> dict[str, int | str | None]:
        stated = self._form.mapping(node, ("capacity",), TARGETS)
        return {target: self._servers(below, ("capacity", target)) for target, below in stated.items()}

    def _servers(self, node: Node, path: Path) -> int | str | None:
        if node.value == UNLIMITED:
            return None
        if node.value == AUTO:
            return AUTO
        if type(node.value) is int and 1 <= node.value <= MOST_SERVERS:
            return node.value
        self._form.unfit(node, path, f"must be auto, unlimited or a whole number from 1 to {MOST_SERVERS}")
        return AUTO

    def _disturbance(self, node: Node, path: Path) -> Disturbance | Flood | None:
        form = self._form
        stated = form.mapping(node, path, ("target", *_WHEN, *_WHAT), needed=("from", "for"))
        kinds = [kind for kind in _WHAT if kind in stated]
        if len(kinds) != 1:
            form.wrong(node.place, path, "must be one disturbance: outage, brownout or chats")
            return None
        when = self._when(stated, path)
        what, where = stated[kinds[0]], (*path, kinds[0])
        if kinds[0] == "chats":
            if "target" in stated:
                form.wrong(stated["target"].place, (*path, "target"), "chats come to no target: leave it out")
            return Flood(when, form.whole(what, where, 2, MOST_TIMES))
        if "target" not in stated:
            form.wrong(node.place, (*path, "target"), "is missing: write switch or madre")
            return None
        target = form.word(stated["target"], (*path, "target"), TARGETS)
        if kinds[0] == "outage":
            return Outage(target, when, self._outage(what, where))
        return self._brownout(target, when, what, where)

    def _when(self, stated: Mapping[str, Node], path: Path) -> When:
        form = self._form
        since = form.duration(stated["from"], (*path, "from"), zero=True) if "from" in stated else 0.0
        seconds = form.duration(stated["for"], (*path, "for")) if "for" in stated else 1.0
        every = form.duration(stated["every"], (*path, "every")) if "every" in stated else 0.0
        if every and every <= seconds:
            form.unfit(stated["every"], (*path, "every"), "must be longer than for, or it never ends")
        return When(since, seconds, every)

    def _outage(self, node: Node, path: Path) -> str:
        written = str(node.value) if node.value == 503 else node.value
        if isinstance(written, str) and written in OUTAGES:
            return written
        return self._form.word(node, path, tuple(OUTAGES))

    def _brownout(self, target: str, when: When, node: Node, path: Path) -> Brownout:
        form = self._form
        stated = form.mapping(node, path, ("times", "plus", "failing"))
        if isinstance(node.value, dict) and not node.value:
            form.wrong(node.place, path, "must state times, plus or failing")
        times = self._times(stated["times"], (*path, "times")) if "times" in stated else 1.0
        plus = form.duration(stated["plus"], (*path, "plus")) if "plus" in stated else 0.0
        failing = form.share(stated["failing"], (*path, "failing")) if "failing" in stated else 0.0
        return Brownout(target, when, times, plus, failing)

    def _times(self, node: Node, path: Path) -> float:
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0.01 <= value <= 1000:
            return float(value)
        self._form.unfit(node, path, "must be a number from 0.01 to 1000, as in 3")
        return 1.0
