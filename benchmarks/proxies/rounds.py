"""The rounds: everybody is started once, then everything is asked of each in turn, forwards and backwards by turns."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.proxies import bodies, growth, latency, measure, streams
from benchmarks.proxies.cores import Cores
from benchmarks.proxies.figures import Figures
from benchmarks.proxies.load import SHAPES, Wrk, at_once, request
from benchmarks.proxies.peers import GROWTH, REQUESTS, SIDECAR, STREAMS, Chat, Peer, Place, serving
from benchmarks.proxies.process import NotStartedError, program
from benchmarks.proxies.report import DIRECT
from benchmarks.proxies.upstream import Upstream, fast, streaming

ROWS = (*SHAPES, "latency", "start", "bodies", "sse", "websocket", "growth")
LATENCY = 1.0  # seconds of each of its two rounds
Lasting = Callable[[int, int, float], streams.Passed]
_FAILURES = (OSError, NotStartedError, latency.WrongAnswerError, subprocess.TimeoutExpired)


class Rounds:
    """``notes`` says what was left out, and why."""

    def __init__(self, cores: Cores, directory: Path, rounds: int, seconds: int, rows: Sequence[str]) -> None:
        self.figures = Figures()
        self.notes: list[str] = []
        self._cores = cores
        self._directory = directory
        self._wrk = Wrk(cores, directory)
        self._rounds = rounds
        self._seconds = seconds
        self._rows = set(rows)
        self._counters = measure.counters()
        self._failed: set[tuple[str, str]] = set()
        if not self._counters:
            self.notes.append("Instructions a request: left out, perf counts none on this machine.")
        if program("wrk") is None:
            missing = sorted(self._rows & {*SHAPES, "growth"})
            self._rows -= {*SHAPES, "growth"}
            if missing:
                self.notes.append(f"{', '.join(missing)}: left out, wrk is not installed (a package of Debian).")

    def run(self, peers: Sequence[tuple[Peer, str]]) -> None:
        """Two upstreams follow each other, so everybody is started twice."""
        if self._rows & (REQUESTS | GROWTH):
            with fast(self._cores, self._directory) as upstream:
                if "start" in self._rows:
                    self._starts(peers, upstream)
                with self._serving(peers, upstream, "requests") as places:
                    self._requests(places, upstream)
        if self._rows & STREAMS:
            with (
                streaming(self._cores, self._directory) as upstream,
                self._serving(peers, upstream, "streams") as places,
            ):
                self._streams(places)

    # -- who -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _serving(self, peers: Sequence[tuple[Peer, str]], upstream: Upstream, what: str) -> Iterator[list[Place]]:
        wanted = self._rows & (STREAMS if what == "streams" else REQUESTS | GROWTH)
        with contextlib.ExitStack() as stack:
            places = []
            for peer, path in peers:
                if not wanted & peer.rows:
                    continue
                directory = self._directory / what / peer.name
                try:
                    place = stack.enter_context(serving(peer, path, upstream, self._cores.proxy, directory))
                except NotStartedError as error:
                    self.notes.append(f"{peer.name}: left out, {error}")
                    continue
                places.append(place)
            yield places

    def _each(self, row: str, places: Sequence[Place], number: int, ask: Callable[[Place], None]) -> None:
        """What fails is noted once, and not asked again."""
        if row not in self._rows:
            return
        self._say(f"round {number + 1} of {self._rounds}: {row}")
        for place in places if number % 2 == 0 else places[::-1]:
            name = place.peer.name
            if (name, row) in self._failed or row not in place.peer.rows:
                continue
            try:
                ask(place)
            except _FAILURES as error:
                self._failed.add((name, row))
                self.notes.append(f"{name}: {row} left out, {error}")

    # -- what ------------------------------------------------------------------------------------------------------

    def _starts(self, peers: Sequence[tuple[Peer, str]], upstream: Upstream) -> None:
        """One more than the others, which does not count: it reads the program from disk."""
        failed = set()
        for number in range(-1, self._rounds):
            self._say(f"start {number + 2} of {self._rounds + 1}")
            for peer, path in peers:
                if peer.name in failed or (peer.heavy and number > 0):
                    continue
                directory = self._directory / "starts" / peer.name
                try:
                    took = measure.start(peer, path, upstream, self._cores.proxy, directory)
                except NotStartedError:
                    failed.add(peer.name)  # it is noted when it is wanted for more than this
                    continue
                if number >= 0:
                    self.figures.add(number, peer.name, "start", took)

    def _requests(self, places: Sequence[Place], upstream: Upstream) -> None:
        for place in places:
            measure.wait_until_quiet(place.pid)
            self.figures.add(0, place.peer.name, "idle", measure.resident(place.pid))
        for number in range(self._rounds):
            for shape in SHAPES:
                self._each(shape, places, number, partial(self._load, number, shape))
            if "latency" in self._rows:
                self._latency(number, DIRECT, upstream.gateway)
            self._each("latency", places, number, partial(self._through, number))
        for number in range(self._rounds):
            self._each("growth", places, number, partial(self._growth, number))

    def _load(self, number: int, shape: str, place: Place) -> None:
        figures, name, pid = self.figures, place.peer.name, place.pid
        counts = shape == "chat" and name == SIDECAR
        chats = measure.by_switch(place) if counts else (0.0, 0.0)
        report = self._directory / "instructions"
        around = measure.counting(pid, report) if self._counters else []
        busy = threading.Timer(self._seconds * 0.8, lambda: self._busy(number, shape, place))
        before = measure.cpu(pid)
        busy.start()
        message = request(shape, place.port, place.peer.chat)
        done = self._wrk.round(place.port, message, at_once(shape), self._seconds, around)
        used = measure.cpu(pid) - before
        busy.join()
        if not done.requests:
            raise NotStartedError("nothing was answered")
        figures.add(number, name, shape, used / done.requests * 1e6)
        figures.add(number, name, f"{shape} share", done.share)
        counted = measure.instructions(report.read_text()) if self._counters else None
        if counted is not None:
            figures.add(number, name, f"{shape} kinstr", counted / done.requests / 1000)
        if counts:
            after = measure.by_switch(place)
            figures.add(number, name, "by switch", (after[1] - chats[1]) / max(1.0, after[0] - chats[0]))

    def _busy(self, number: int, shape: str, place: Place) -> None:
        """Memory while connections are busy; a number for each round and shape."""
        with contextlib.suppress(OSError):
            taken = measure.resident(place.pid)
            self.figures.add(number * len(SHAPES) + SHAPES.index(shape), place.peer.name, "busy", taken)

    def _through(self, number: int, place: Place) -> None:
        self._latency(number, place.peer.name, place.port)

    def _latency(self, number: int, name: str, port: int) -> None:
        message = request("relay", port, Chat())
        self.figures.add(number, name, "one", latency.median(port, message, LATENCY))
        self.figures.add(number, name, "low", latency.median(port, message, LATENCY, latency.RATE))

    def _growth(self, number: int, place: Place) -> None:
        growth.measure(self.figures, number, place, self._wrk, self._seconds)

    def _streams(self, places: Sequence[Place]) -> None:
        for number in range(self._rounds):
            self._each("bodies", places, number, partial(self._bodies, number))
            self._each("sse", places, number, partial(self._lasting, number, "sse", streams.sse))
            self._each("websocket", places, number, partial(self._lasting, number, "websocket", streams.websocket))

    def _bodies(self, number: int, place: Place) -> None:
        for name, up in (("down", False), ("up", True)):
            moved = bodies.moved(place.pid, place.port, 1.0, up=up)
            self.figures.add(number, place.peer.name, name, moved.rate)

    def _lasting(self, number: int, figure: str, measured: Lasting, place: Place) -> None:
        passed = measured(place.pid, place.port, float(self._seconds))
        if not passed.whole or not passed.passed:
            raise latency.WrongAnswerError("not every stream stood")
        self.figures.add(number, place.peer.name, figure, passed.each)

    @staticmethod
    def _say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)
