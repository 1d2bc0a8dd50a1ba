"""Deliberate faults: what would have to slip into the code for a promise to be broken, each a small change of one function.

A mutant names a function of the core or of the simulator, a piece of its text and what stands there instead. It is made from the source at
run time and put back afterwards; nothing is written. A net that holds none of these would show nothing by being empty. A mutant whose
text is no longer found is out of date: ``Outdated`` says which, and it is to be written anew for the code as it is.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, NamedTuple

from .campaign import TWICE_EVERY, Found, try_world

MOST_CALLS = 200_000  # that a mutant may survive; most are found within a thousand, some take ten thousand
ANNOTATIONS = annotations.compiler_flag  # so that a function is compiled as its module was


class Outdated(LookupError):  # noqa: N818 - a state of the table
    """The code that a mutant changes has been rewritten."""


class Mutant(NamedTuple):
    """``place`` is ``module:function`` below ``sidecar``; ``old`` stands in it once. ``twice``: only a second telling can show it."""

    name: str
    place: str
    old: str
    new: str
    twice: bool = False


MUTANTS = (
    # -- breaker
    Mutant("permit kept when the client left", "core.breaker:Breaker.settle", "if self._out", "if verdict is Verdict.IGNORED or self._out"),
    Mutant("straggler counted", "core.breaker:Breaker.heeds", "permit.epoch == self.epoch and ", ""),
    Mutant("expired probe counted", "core.breaker:Breaker.heeds", " and permit.expires > now", ""),
    Mutant("lease too short", "core.breaker:Breaker.admit", "now + self._lease", "now + self._lease / 8"),
    Mutant("shorter lease after a reload", "core.engine:Engine.adopt", "max(self._lease, policy.deadline.client + LEASE_MARGIN)", "policy.deadline.client + LEASE_MARGIN"),
    Mutant("settled twice", "core.breaker:Breaker.settle", "self._window.add(now, failed=failed, slow=slow)", "[self._window.add(now, failed=failed, slow=slow) for _ in range(2)]"),
    Mutant("one probe too many", "core.breaker:Breaker.refusal", ">= self._policy.half_open.permits", "> self._policy.half_open.permits"),
    Mutant("closed by one good probe", "core.breaker:Breaker._settle_probe", "< self._thresholds.close_after", "< 1"),
    Mutant("a slow probe is a good one", "core.breaker:Breaker._settle_probe", "if failed or slow:", "if failed:"),
    Mutant("open time does not grow", "core.breaker:Breaker._open_time", "range(self._trips_in_row)", "range(0)"),
    Mutant("open time grows for ever", "core.breaker:Breaker._trip", "self._trips_in_row = 0", "pass"),
    Mutant("jitter out of range", "core.breaker:Breaker._open_time", "(2 * draw(self._seed, self.epoch) - 1)", "(3 * draw(self._seed, self.epoch) - 1)"),
    Mutant("open for longer than the maximum", "core.breaker:Breaker._open_time", "policy.max / (1 + policy.jitter)", "policy.max"),
    Mutant("probes too early", "core.breaker:Breaker.tick", "now >= self.until", "now >= self.until - 0.05"),
    Mutant("probes too late", "core.breaker:Breaker.tick", "now >= self.until", "now > self.until + 0.05"),
    Mutant("held open and yet asked", "core.breaker:Breaker.refusal", "self.state is State.FORCED_OPEN", "False"),
    Mutant("held closed and yet tripped", "core.breaker:Breaker.settle", "if self.state is State.CLOSED else", "if self.state in (State.CLOSED, State.FORCED_CLOSED) else"),
    Mutant("a reload forgets the window", "core.breaker:Breaker.adopt", "policy.window != self._policy.window", "True"),
    Mutant("failures in a row outlast an answer", "core.breaker:Breaker.settle", "self.failures_in_row = 0", "pass"),
    Mutant("trips one call too late", "core.breaker:Breaker._tripped_by", "seen.calls < limits.min_calls", "seen.calls <= limits.min_calls"),
    Mutant("misconfigured counts against the breaker", "core.breaker:Breaker.settle", "failed = verdict in FAILURES", "failed = verdict in (*FAILURES, Verdict.MISCONFIGURED)"),
    Mutant("the window keeps one call too many", "core.window:CountWindow.__init__", "maxlen=size", "maxlen=size + 1"),
    Mutant("the window forgets a tenth early", "core.window:TimeWindow.advance", "index - BUCKETS", "index - BUCKETS + 1"),
    # -- limiter
    Mutant("slot kept by who left the queue", "core.plan:_queue", "limiter.leave(course.now, ticket)", "isinstance(event, Abandoned) or limiter.leave(course.now, ticket)"),
    Mutant("slot kept when the breaker refuses", "core.attempt:begin", "machines.limiter.leave(now, ticket)\n        if isinstance(permit", "if isinstance(permit"),
    Mutant("slot given back twice", "core.limiter:Limiter.leave", "self.in_flight -= 1", "self.in_flight -= 1 + (self.in_flight > 1)"),
    Mutant("one slot too many", "core.limiter:Limiter.enter", "self.in_flight < self._slots", "self.in_flight <= self._slots"),
    Mutant("one place too many in the queue", "core.limiter:Limiter.enter", ">= self._places", "> self._places"),
    Mutant("last come, first served", "core.limiter:Limiter._grant_waiting", "popleft()", "pop()"),
    Mutant("a reload wakes nobody", "core.limiter:Limiter._turn", "self._grant_waiting(now)", "pass"),
    Mutant("a reload throws the waiting out", "core.limiter:Limiter._turn", "self._grant_waiting(now)", "self._queue.clear()"),
    Mutant("the queue ignores the deadline", "core.plan:_queue", "min(target.limiter.queue_timeout, until - came)", "target.limiter.queue_timeout"),
    # -- retries
    Mutant("retry not refunded when the client left", "core.plan:_ask", "machines.budget.refund(course.now)\n            return LEFT", "return LEFT"),
    Mutant("retry not refunded when refused", "core.plan:_ask", "if retries and course.attempts == sent_before", "if False"),
    Mutant("retry refunded although sent", "core.plan:_ask", "if retries and course.attempts == sent_before", "if retries"),
    Mutant("retries are free", "core.budget:RetryBudget.withdraw", "self._balance = max(self._balance - 1, 0.0)", "pass"),
    Mutant("retries on credit", "core.budget:RetryBudget.withdraw", "1 - _ROUNDING", "0.5"),
    Mutant("every attempt deposits", "core.attempt:begin", "if turn == 1:", "if True:"),
    Mutant("savings beyond the burst", "core.budget:RetryBudget.deposit", "min(self._balance + self._ratio, self.burst)", "self._balance + self._ratio"),
    Mutant("a reload fills the budget", "core.budget:RetryBudget.adopt", "min(self._balance, policy.burst)", "policy.burst"),
    Mutant("one attempt too many", "core.plan:_retry_delay", "retry >= target.retry.max_attempts", "retry > target.retry.max_attempts"),
    Mutant("an unsafe request sent twice", "core.plan:_retry_delay", "outcome.sent and target.effects", "not outcome.sent and target.effects"),
    Mutant("a silent target asked again", "core.classify:Classifier._may_retry", "self._retry_on_timeout", "True"),
    Mutant("backs off past the deadline", "core.plan:_retry_delay", "inputs.left < delay + MIN_ATTEMPT", "False"),
    Mutant("waits for a refusal", "core.plan:_retry_delay", "inputs.refuses_for is not None and inputs.refuses_for > delay", "False"),
    Mutant("jitter is not full", "core.backoff:backoff", "u * min(", "(0.9 + u) * min("),
    Mutant("Retry-After is ignored", "core.backoff:backoff", "return retry_after + drawn", "return drawn"),
    # -- time
    Mutant("nothing kept back for the next target", "core.deadline:part", "min(reserved, max(deadline - now, 0.0) * MAX_RESERVED)", "0"),
    Mutant("all kept back for the next target", "core.deadline:part", "* MAX_RESERVED", "* 1"),
    Mutant("an attempt takes the time of the next", "core.attempt:begin", "bounded(until, now", "bounded(course.deadline, now"),
    Mutant("an attempt takes longer than there is", "core.deadline:bounded", "return left, Binding.DEADLINE", "return left + 0.1, Binding.DEADLINE"),
    Mutant("asked although there is no time", "core.plan:_enter", "left < MIN_ATTEMPT", "left <= 0"),
    Mutant("the wrong constraint is named", "core.deadline:bounded", "own <= left", "own < left / 2"),
    Mutant("cut off by a small reserve for ever", "core.attempt:_judge", "max(seconds, RESERVE_MOST)", "seconds"),
    # -- verdicts, reasons, the ladder
    Mutant("who leaves counts as a failure", "core.attempt:_judge", "return _GONE", 'return Judged(Verdict.FATAL, "")'),
    Mutant("short patience blames the target", "core.attempt:_judge", "if timed_out and cut_short", "if False"),
    Mutant("the last reason is told for the first", "core.plan:_descend", "course.first_reason is None", "True"),
    Mutant("down the ladder whatever the policy says", "core.plan:_descend", "if not allowed", "if False"),
    Mutant("the fallback is never asked", "core.plan:_descend", "enumerate(ladder)", "enumerate(ladder[:1])"),
    Mutant("a degraded answer passes for a full one", "core.plan:_ask", "course.first_reason if verdict is Verdict.SUCCESS else Reason.WAITING", "course.first_reason"),
    Mutant("switched off and yet asked", "core.probing:shut", "rung.name in scene.off", "False"),
    Mutant("off for ever", "core.engine:Engine.override", "self._off.discard(target)", "pass"),
    Mutant("dormant and yet asked", "core.dormancy:Dormancy.forbids", 'policy.mode == "obey"', "False"),
    Mutant("a dormant target is blamed", "core.dormancy:Dormancy.explains", 'policy.mode != "ignore"', "False"),
    Mutant("nobody hears that the switch is back", "core.dormancy:Dormancy.hear", "was_off and not", "False and not"),
    Mutant("a running call takes the new policy", "core.engine:Engine.begin", "self.scene, self._emit", 'self.scene if call.number % 5 else __import__("msgspec").structs.replace(self.scene, policy=Policy()), self._emit'),
    # -- one story per call
    Mutant("told twice of the end", "core.plan:plan_call", "yield finish", "emit(CallEnded(course.now, call.number, course.now - now, finish, course.first_reason, course.attempts))\n    yield finish"),
    Mutant("no end", "core.plan:plan_call", "    emit(CallEnded(", "    finish.abandoned or emit(CallEnded("),
    Mutant("draws from a stream", "core.plan:_retry_delay", "draw(course.scene.seed, call, course.attempts)", '__import__("random").random()', twice=True),
    # -- journal and replay
    Mutant("the journal rounds patience", "core.line:_began", "fact.call, fact.patience", "fact.call, round(fact.patience, 1)", twice=True),
    Mutant("a replay leaves reloads out", "replay.exact:ExactReplay._adopt", "self._engine.adopt(now, policy, revision=revision, source=source)", "pass", twice=True),
    # -- the simulator
    Mutant("late events are delivered", "replay.simulate:Simulation.run", "if running.turn == turn:", "if running.plan.finish is None:"),
    Mutant("told after the end", "replay.simulate:Simulation._tell", "if plan.finish is None:", "if True:"),
    Mutant("woken in the past", "replay.simulate:Simulation._perform", "step.ticket.wake = lambda: self._push(self.now,", "step.ticket.wake = lambda: self._push(now - 1,"),
    Mutant("no end to the wait for a slot", "replay.simulate:Simulation._perform", "self._push(now + step.timeout,", "step.timeout > 0.5 or self._push(now + step.timeout,"),
)  # fmt: skip


@contextmanager
def put_in(mutant: Mutant) -> Iterator[None]:
    """The code with this fault in it, until the block is left.

    The function stays and its code is exchanged, so that tables and other modules that hold it have the fault as well.
    """
    module_name, _, path = mutant.place.partition(":")
    holder: Any = importlib.import_module(f"sidecar.{module_name}")
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    whole = vars(holder)[name]
    text = textwrap.dedent(inspect.getsource(whole))
    if text.count(mutant.old) != 1:
        raise Outdated(f"{mutant.name}: {mutant.old!r} stands {text.count(mutant.old)} times in {mutant.place}")
    code = whole.__code__
    whole.__code__ = _compiled(text.replace(mutant.old, mutant.new), mutant.name, name, code.co_freevars)
    try:
        yield
    finally:
        whole.__code__ = code


def _compiled(text: str, what: str, name: str, free: tuple[str, ...]) -> CodeType:
    """The code of a function; the ``free`` names, as the class that ``super()`` means, come from around it as they did."""
    around = f"def around({', '.join(free)}):\n{textwrap.indent(text, '    ')}\n    return {name}\n"
    made: dict[str, Any] = {}
    exec(compile(around, f"<{what}>", "exec", ANNOTATIONS), made)
    code: CodeType = made["around"](*free).__code__
    return code


def hunt(mutant: Mutant, seed: int, most: int = MOST_CALLS) -> tuple[Found | None, int]:
    """The first promise that a mutant is found to break, from the world of number ``seed`` on, and after how many calls."""
    calls = 0
    with put_in(mutant):
        for number in itertools.count(seed):
            tally = try_world(number, 1 if mutant.twice else TWICE_EVERY)
            calls += tally.calls
            if tally.found or calls >= most:
                return (tally.found[0] if tally.found else None), calls
    raise AssertionError("numbers have no end")
