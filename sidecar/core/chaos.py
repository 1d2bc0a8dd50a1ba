"""Fault injection: which attempt is broken on purpose, and how. Pure: the same attempt meets the same fault live and in a replay.

Between the plan and the network an attempt may be delayed, aborted before it is sent, or have its answer spoiled. Everything above
(classification, retries, breakers, the ladder) treats that as it would treat the real thing, which is the point: what is tried is
whether the policy holds. So a fault has to look real:

* *When.* Each rule draws for each attempt by itself: ``draw(seed, call, attempt, rule)`` below ``percentage``. Draws are hashes and no
  stream (``core/draw``): adding a rule or a retry moves no other decision, and two policies tried on one journal meet the same faults.
  Over n attempts the count is binomial with that percentage. The first rule that fits and is drawn breaks the attempt; a rule below it
  meets what the rules above let pass.
* *A delay* comes first and is within the attempt's timeout: what it leaves is all the target gets, and a delay as long as the timeout is
  a timeout.
* *An abort* takes the place of the request, which is never made. ``connect`` and ``dns`` fail at once, ``connect-timeout`` after the
  connect timeout: the plan knows that nothing was sent, and may ask again. ``reset`` comes at once and ``timeout`` with the attempt's
  own: the plan has to believe that something was sent, as it would, and leaves an unsafe target alone.
* *body* and *cut* spoil an answer: the request is made, so what it does to the target is real, and only an answer that came is
  replaced. An attempt that fails by itself fails as it did.

Whether any rule is in force is none of this: ``Armed.until`` says until when, in monotonic seconds, and an edge makes it from the wall
clock that is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sidecar.core.draw import draw
from sidecar.core.fact import Fault
from sidecar.core.value import Value, replace
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.policy.model import ChaosRule

_CHAOS = 0xC4A05  # what these draws are for: no other has this key
_TIMEOUT = Outcome(error=ErrorKind.TIMEOUT)
_CUT = Outcome(error=ErrorKind.TRUNCATED)
SPOILED = {
    "invalid-json": Outcome(error=ErrorKind.NOT_JSON),
    "empty": Outcome(error=ErrorKind.NOT_JSON),
    "not-object": Outcome(error=ErrorKind.NOT_JSON),
    "no-text": Outcome(status=200),
    "status-error": Outcome(status=200, body={"status": "error"}),
    "huge": Outcome(error=ErrorKind.TOO_LARGE),
}
"""What the reader of answers says of a 200 with each of these bodies."""

Carries = Callable[[str, str], bool]
"""Whether the chat that is answered came with this header field and value."""


class Armed(Value, gc=True):
    """A rule that is in force. ``index`` is its place in the policy, ``until`` the moment from which on it does nothing."""

    rule: ChaosRule
    index: int
    until: float


def met(
    now: float, armed: Sequence[Armed], step: Attempt, carries: Carries, *, seed: int, call: int
) -> ChaosRule | None:
    """The rule that breaks this attempt of ``call``; None: none does."""
    for one in armed:
        rule = one.rule
        if (
            now < one.until
            and rule.target in ("any", step.target)
            and draw(seed, call, step.number, _CHAOS, one.index) < rule.percentage
            and all(carries(name, value) for name, value in rule.header.items())
        ):
            return rule
    return None


def before(rule: ChaosRule, step: Attempt) -> tuple[float, Outcome | None]:
    """Seconds to wait, and the outcome then; None: now the target is asked."""
    if rule.delay >= step.timeout:
        return step.timeout, _TIMEOUT
    if rule.abort is None:
        return rule.delay, None
    if rule.abort == "timeout":
        return step.timeout, _TIMEOUT
    if rule.abort == "connect-timeout":
        silent = rule.delay + step.connect_timeout
        return (step.timeout, _TIMEOUT) if silent > step.timeout else (silent, aborted(rule.abort))
    return rule.delay, aborted(rule.abort)


def aborted(abort: int | str) -> Outcome:
    """What an abort is to the plan."""
    return Outcome(status=abort) if isinstance(abort, int) else Outcome(error=ErrorKind(abort))


def left(step: Attempt, waited: float) -> Attempt:
    """The attempt with what a delay left of its time."""
    timeout = max(step.timeout - waited, 0.0)
    return replace(step, timeout=timeout, connect_timeout=min(step.connect_timeout, timeout)) if waited else step


def after(rule: ChaosRule, outcome: Outcome) -> Outcome:
    """What is made of the outcome of an attempt that was asked; the same object where that is nothing."""
    if outcome.status is None:
        return outcome
    return _CUT if rule.cut else SPOILED.get(rule.body or "", outcome)


def at_first(rule: ChaosRule, step: Attempt) -> Iterator[Fault]:
    """The faults that are injected before the target is asked."""
    if rule.delay:
        yield "delay"
    if rule.abort is not None and rule.delay < step.timeout:
        yield "abort"


def at_last(rule: ChaosRule) -> Fault:
    """The fault that is injected into an answer."""
    return "cut" if rule.cut else "body"
