"""The candidate policy of ``--shadow``: from its files to what it would have made of the chats, and nowhere near those who answer them."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.engine import Engine
from sidecar.edge.outlets.log import Log
from sidecar.edge.outlets.shadow import ShadowSink
from sidecar.edge.outlets.telemetry import Telemetry
from sidecar.edge.reload import Reloader
from sidecar.edge.settings import take_candidate
from sidecar.edge.snapshot import Beside, Candidate


class CandidateBeside:
    """``sink`` takes every fact from the first on; the candidate itself begins when the live engine stands."""

    reloader: Reloader[Candidate]

    def __init__(
        self, candidate: Candidate, *, seed: int, now: Callable[[], float], log: Log, telemetry: Telemetry
    ) -> None:
        """``seed`` is that of the live engine."""
        self._candidate = candidate
        self._now = now
        self._log = log
        self._telemetry = telemetry
        self.sink = ShadowSink(seed=seed, now=now, log=log, tell=telemetry.compared)
        telemetry.watch_shadow(self.sink.beside)

    def begin(self, live: Engine) -> None:
        """Run, and read the files again when told to or when they change."""
        beside, sink, path = Beside(self._candidate), self.sink, self._candidate.path

        def put(candidate: Candidate) -> None:
            beside.current = candidate
            sink.begin(candidate.policy, candidate.revision, candidate.source, live)

        put(self._candidate)
        self.reloader = Reloader(
            lambda: take_candidate(path),
            put,
            beside,
            self._candidate.files,
            emit=self._telemetry.candidate_reloaded,
            now=self._now,
            log=self._log,
            of="candidate",
        )

    def view(self) -> dict[str, object]:
        """For people; ``problems`` are those of its files."""
        return {**self.sink.view(), "problems": self.reloader.problems}
