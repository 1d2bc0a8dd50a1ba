"""A candidate policy beside the one in force, live: it gets every fact, and nothing it does leads anywhere but to figures.

A fault in here ends the candidate and nobody else: it is said once in the log, in the metrics and in ``/state``, until another one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, get_args

from sidecar.core.comparison import Compared
from sidecar.core.engine import Engine
from sidecar.core.fact import DormancyHeard, Fact, Overridden, PolicyAdopted
from sidecar.core.shadow import Beside, Shadow
from sidecar.core.value import replace
from sidecar.edge.outlets.log import Log
from sidecar.edge.outlets.sink import Sink
from sidecar.policy.model import Policy


class _Known(NamedTuple):
    """What is so at present, for a candidate that begins now."""

    adopted: PolicyAdopted | None = None
    dormancy: DormancyHeard | None = None


class ShadowSink(Sink):
    """Takes every fact. Without a candidate it only remembers what one would have to know."""

    def __init__(self, *, seed: int, now: Callable[[], float], log: Log, tell: Callable[[Compared], None]) -> None:
        self._seed = seed
        self._now = now
        self._log = log
        self._tell = tell
        self._known = _Known()
        self._held: dict[str, Overridden] = {}  # by target
        self._shadow: Shadow | None = None
        self._begun: tuple[str, str] | None = None  # revision and source
        self.fault: str | None = None
        """The type of the fault that ended the candidate."""
        self.takes = dict.fromkeys(get_args(Fact), (self._take,))

    def _take(self, fact: Fact) -> None:
        if isinstance(fact, PolicyAdopted):
            self._known = self._known._replace(adopted=fact)
        elif isinstance(fact, DormancyHeard):
            self._known = self._known._replace(dormancy=fact)
        elif isinstance(fact, Overridden):
            self._held[fact.target] = fact
        if self._shadow is not None:
            try:
                self._shadow.take(fact)
            except Exception as error:  # noqa: BLE001 - as in `_guarded`, which would cost more for every fact
                self._fail(error)

    def begin(self, policy: Policy, revision: str, source: str, live: Engine) -> None:
        """Let this candidate take the place of the one before, with an empty memory but for how long targets take."""
        if self._begun == (revision, source) and self.fault is None:
            return
        now = self._now()
        self._begun, self.fault = (revision, source), None
        self._shadow = shadow = Shadow(now, policy, revision=revision, source=source, seed=self._seed, tell=self._tell)
        self._log.info("shadow_began", revision=revision, source=source)
        self._guarded(partial(shadow.learn, live))
        for fact in (*self._known, *self._held.values()):
            if fact is not None:
                self._guarded(partial(shadow.take, replace(fact, at=now)))

    def tick(self) -> None:
        """Let time pass for the candidate when nothing else happens."""
        if self._shadow is not None:
            self._guarded(partial(self._shadow.advance, self._now()))

    def beside(self) -> Beside | None:
        """How the candidate stands; None where there is none."""
        return None if self._shadow is None else self._shadow.beside()

    def view(self) -> dict[str, object]:
        """The candidate and its comparisons, for people; after a fault what is left of it."""
        revision, source = self._begun or (None, None)
        running = {} if self._shadow is None else self._shadow.view(self._now())
        return {"revision": revision, "source": source, **running, "fault": self.fault}

    def _guarded(self, does: Callable[[], None]) -> None:
        try:
            does()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach those who answer chats
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._shadow, self.fault = None, type(error).__name__
        self._log.error("shadow_failed", error=self.fault)  # without its text, which may quote anything
