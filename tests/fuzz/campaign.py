"""The fuzzers by name, and their turns: rounds of examples until the time is over, each from a seed of its own.

An input that showed something new joins the seeds of the rounds to come: what is close to a rare outcome gets tried more.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from . import checks, messages

MOST_KEPT = 400  # seeds that a fuzzer gathers beside those it began with


class Fuzzer(NamedTuple):
    """``examples`` is made anew for every round, with the inputs that were worth keeping; ``kept`` is what of an example may be one."""

    name: str
    examples: Callable[[Sequence[bytes]], st.SearchStrategy[Any]]
    check: Callable[[Any], str]
    kept: Callable[[Any], bytes] = lambda example: example[0]


PURE = (
    Fuzzer(
        "request heads",
        lambda more: messages.heads((*messages.REQUESTS, *more)),
        checks.a_request_head,
        lambda data: data,
    ),
    Fuzzer(
        "request streams",
        lambda more: messages.streams((*messages.REQUESTS, *more)),
        checks.a_stream,
        lambda data: data,
    ),
    Fuzzer(
        "chunked bodies",
        lambda more: st.tuples(messages.bodies((*messages.BODIES, *more)), messages.CUTS),
        checks.a_chunked_body,
    ),
    Fuzzer(
        "measured bodies",
        lambda _: st.tuples(st.binary(max_size=60), messages.CUTS, st.integers(0, 70)),
        checks.a_measured_body,
    ),
    Fuzzer(
        "answer heads",
        lambda more: st.tuples(
            messages.replies((*messages.ANSWERS, *more)).map(lambda data: data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
            st.sampled_from((b"GET", b"HEAD", b"POST", b"OPTIONS")),
        ),
        checks.an_answer_head,
    ),
    Fuzzer(
        "targets",
        lambda more: st.tuples(st.sampled_from((b"POST", b"GET", b"OPTIONS")), messages.targets(more)),
        checks.a_target,
        lambda example: example[1],
    ),
    Fuzzer("frames", lambda _: st.tuples(messages.frames(), messages.CUTS), checks.frames),
    Fuzzer(
        "trace context",
        lambda _: st.tuples(st.lists(messages.TRACEPARENTS, max_size=2), st.lists(messages.TRACESTATES, max_size=2)),
        checks.a_trace_context,
        lambda _: b"",
    ),
)


class Tally:
    """What one fuzzer has done."""

    def __init__(self, fuzzer: Fuzzer) -> None:
        self.fuzzer = fuzzer
        self.executions = 0
        self.seconds = 0.0
        self.outcomes: Counter[str] = Counter()
        self.kept: list[bytes] = []
        self.findings: list[str] = []
        self._rounds = 0

    def round(self, examples: int) -> None:
        """So many examples; a finding is shrunk, and told with what makes it happen again."""
        fuzzer, fresh = self.fuzzer, dict[str, bytes]()

        def one(example: Any) -> None:
            self.executions += 1
            outcome = fuzzer.check(example)
            if outcome not in self.outcomes:
                fresh.setdefault(outcome, fuzzer.kept(example))
            self.outcomes[outcome] += 1

        number = random.getrandbits(64)
        self._rounds += 1
        began = time.perf_counter()
        running = settings(
            max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False, print_blob=False,
        )(seed(number)(given(fuzzer.examples(tuple(self.kept)))(one)))  # fmt: skip
        try:
            running()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            notes = " ".join(getattr(error, "__notes__", ()))
            self.findings.append(f"seed {number}, round {self._rounds}: {type(error).__name__}: {error}\n{notes}")
        self.seconds += time.perf_counter() - began
        self.kept = [*self.kept, *fresh.values()][-MOST_KEPT:]


def campaign(fuzzers: Sequence[Fuzzer], seconds: float, *, examples: int = 200) -> Iterator[Tally]:
    """Give every fuzzer the same time. Yields a tally after each of its rounds."""
    tallies = [Tally(fuzzer) for fuzzer in fuzzers]
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        tally = min(tallies, key=lambda one: one.seconds)
        tally.round(examples)
        yield tally
