"""A live engine with a candidate beside it: every fact of the one is taken by the other."""

from __future__ import annotations

from script import World, policy

from sidecar.core.comparison import Compared
from sidecar.core.shadow import SAME, Shadow

SEED = 7


class _Passing(list):
    """Keeps facts and passes them on."""

    def __init__(self, take) -> None:
        super().__init__()
        self._take = take

    def append(self, fact) -> None:
        super().append(fact)
        self._take(fact)


class Stage(World):
    """``told`` is what was compared, ``said`` what the candidate's engine said."""

    def __init__(self, candidate, active=None, *, now: float = 0.0, same: float = SAME, **more) -> None:
        self.told: list[Compared] = []
        self.said: list = []
        self.shadow = Shadow(
            now,
            candidate,
            revision="c1",
            source="candidate.yaml",
            seed=SEED,
            tell=self.told.append,
            emit=self.said.append,
            same=same,
            **more,
        )
        super().__init__(active or policy(), seed=SEED, now=now)

    @property
    def facts(self):
        return self._facts

    @facts.setter
    def facts(self, _) -> None:
        self._facts = _Passing(self.shadow.take)

    @property
    def results(self) -> list[str]:
        """Each comparison as one short line."""
        return [shown(each) for each in self.told]

    def machine(self, target: str = "switch"):
        """The candidate's."""
        return self.shadow._engine._machines[target]

    def at_ease(self, now: float) -> bool:
        """Whether the candidate holds nothing any more."""
        return all(
            m.limiter.in_flight == m.limiter.queued == m.breaker.outstanding(now) == 0
            for m in self.shadow._engine._machines.values()
        )


def shown(told: Compared) -> str:
    later = "" if not told.seconds else f" {told.seconds:+.3g}"
    ends = f"{told.active}" if told.candidate in (told.active, None) else f"{told.active} -> {told.candidate}"
    return f"{told.call} {told.result}: {ends}{f' ({told.why})' if told.why else ''}{later}"
