"""One call, followed by a candidate: what the candidate would do, held beside what the call really does.

The candidate's plan is told what its real counterpart hears as long as both wait for the same thing, what its own clock says where it
would stop waiting first, and that its client left where nobody knows how it goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from sidecar.core.actual import Actual, Attempting, Doing, gave_up_connecting
from sidecar.core.agenda import Agenda
from sidecar.core.comparison import Compared, Why, decided, undecided
from sidecar.core.engine import Plan
from sidecar.core.fact import AttemptStarted, CallEnded, EventHeard
from sidecar.core.vocabulary import (
    Abandoned,
    Answered,
    Attempt,
    Backoff,
    ErrorKind,
    Event,
    Outcome,
    Queue,
    Race,
    Step,
    Woke,
)

_TIMED_OUT = Outcome(error=ErrorKind.TIMEOUT)


class Followed:
    """``tell`` is called once, when it is known how both sides end, or that one cannot be known.

    ``would_end`` is set by whoever hears the facts of the candidate's engine; of an undecided call it says how far that had come.
    """

    __slots__ = (
        "_agenda", "_ended", "_matched", "_plan", "_same", "_since", "_step", "_tell", "_turn", "_who", "_why", "actual", "would_end",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, actual: Actual, agenda: Agenda, tell: Callable[[Compared], None], *, who: str, same: float
    ) -> None:
        """``who`` is the correlation id; ``same`` the seconds within which two moments are one."""
        self._plan = plan
        self.actual = actual
        self._agenda = agenda
        self._tell = tell
        self._who = who
        self._same = same
        self._step: Step
        self._since = agenda.now  # when the step began
        self._turn = 0  # counts steps, so that what was meant for an earlier one is known to be late
        self._matched = False  # whether the attempt that is the step really is under way
        self._why: Why | None = None  # it is undecided
        self._ended: CallEnded | None = None  # as it really did
        self.would_end: CallEnded | None = None

    # -- what really happens ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._perform(self._plan.start())

    def attempted(self, fact: AttemptStarted) -> None:
        self.actual.attempts(fact)
        step = self._attempting()
        if step is not None and not self._matched:
            self._match(step)

    def hedged(self) -> None:
        """The call asks its late target a second time. A candidate that waits for the same answer may get another one now."""
        if self._attempting() is not None and self._matched:
            self._lose(Why.HEDGED, self._agenda.now)

    def heard(self, fact: EventHeard) -> None:
        done, event, step = self.actual.hears(fact.event), fact.event, self._attempting()
        if not self._live():
            return
        if isinstance(event, Abandoned):
            self._send(event)
        elif isinstance(event, Woke):
            self._woken(event, done)
        elif step is not None and self._matched and isinstance(done, Attempting):
            self._answered(step, event, done)

    def ended(self, fact: CallEnded) -> None:
        self._ended = fact
        if self._attempting() is not None:  # what was asked has ended, and nobody will be asked any more
            self._lose(Why.NOT_ASKED, self._since)
        elif not self._live():
            self._compare()

    # -- what the candidate does ------------------------------------------------------------------------------------

    def _live(self) -> bool:
        """Whether the candidate goes on."""
        return self._why is None and self._plan.finish is None

    def _attempting(self) -> Attempt | None:
        return self._step if self._live() and isinstance(self._step, Attempt) else None

    def _send(self, event: Event) -> None:
        self._perform(self._plan.send(event))

    def _perform(self, step: Step) -> None:
        now = self._agenda.now
        if isinstance(step, Race):
            self._race(step)
            return
        self._step, self._since = step, now
        self._turn += 1
        if isinstance(step, Attempt):
            self._attempt(step)
        elif isinstance(step, Backoff):
            self._after(now + step.delay, self._waited)  # a wait of no time, too, is over when its facts are told
        elif isinstance(step, Queue):
            step.ticket.wake = self._granted
            self._after(now + step.timeout, self._waited)
        elif self._ended is not None:
            self._compare()

    def _attempt(self, step: Attempt) -> None:
        self._matched = False
        asked = self.actual.terms.asked.get(step.target)
        if asked is not None and not asked.same_request:
            self._lose(Why.OTHER_REQUEST, self._since)
        elif self._ended is not None:
            self._lose(Why.NOT_ASKED, self._since)
        else:
            self._match(step)
            if not self._matched:
                self._after(self._since + self._same, self._unmatched)

    def _race(self, step: Race) -> None:
        """One attempt is like any other, with a moment from which it is late; with two nobody knows what the second would get."""
        first = step.attempts[0]
        if len(step.attempts) > 1:
            self._lose(Why.HEDGED, self._agenda.now)
            return
        goes_on = self._turn > 0 and self._step == first
        self._turn += 1
        if goes_on:
            self._match(first)
        else:
            self._step, self._since = first, self._agenda.now
            self._attempt(first)
        if step.wake is not None and self._live():
            self._at(self._since + step.wake, self._woke)

    def _match(self, step: Attempt) -> None:
        """Let the attempt be the real one, if that is on the same target since the same moment."""
        real = self.actual.attempting(step.target, self._since)
        if real is None:
            return
        self._matched = True
        if self._since + step.timeout < real.due - self._same:
            self._at(self._since + step.timeout, self._timed_out)
        if step.connect_timeout < self.actual.terms.asked[step.target].connect:
            self._after(self._since + step.connect_timeout, self._unconnected)

    def _answered(self, step: Attempt, event: Answered, real: Attempting) -> None:
        """The real attempt has ended."""
        asked = self.actual.terms.asked[step.target]
        patient = self._since + step.timeout > real.due + self._same and self.actual.timed_out(event, real)
        if patient or (step.connect_timeout > asked.connect and gave_up_connecting(event.outcome)):
            self._lose(Why.CUT_OFF, self._agenda.now)
        elif event.outcome.status is not None and not asked.readable:
            self._lose(Why.UNREAD, self._agenda.now)
        else:
            self._send(event)

    def _woken(self, event: Woke, done: Doing) -> None:
        """A real wait is over: that of the candidate, too, if it is the same."""
        step = self._step
        if isinstance(step, Backoff):
            same = self.actual.same_backoff(step, self._since, done)
        elif isinstance(step, Queue) and self.actual.same_queue(step, self._since, done):
            same = step.ticket.granted or event.now >= self._since + step.timeout - self._same
        else:
            same = False
        if same:
            self._send(event)

    # -- what it does by itself -------------------------------------------------------------------------------------

    def _timed_out(self) -> None:
        """The candidate stops waiting while the real attempt is still silent."""
        self._send(Answered(self._agenda.now, _TIMED_OUT))

    def _unmatched(self) -> None:
        """The moment is over in which the same target might really have been asked."""
        if not self._matched:
            self._lose(Why.NOT_ASKED, self._since)

    def _unconnected(self) -> None:
        self._lose(Why.CONNECTING, self._agenda.now)

    def _waited(self) -> None:
        """A wait is over by the candidate's own clock. Where the real call ends the same wait, its moment is the candidate's."""
        step, now = self._step, self._agenda.now
        if isinstance(step, Backoff) and self.actual.same_backoff(step, self._since, self.actual.doing):
            return
        if isinstance(step, Queue) and self.actual.same_queue(step, self._since, self.actual.doing):
            self._after(now + self._same, self._woke)
        else:
            self._woke()

    def _granted(self) -> None:
        """A slot of the candidate's limiter, while this call waits for one. The real call may get one at this moment as well."""
        step, now = self._step, self._agenda.now
        if isinstance(step, Queue) and self.actual.same_queue(step, self._since, self.actual.doing):
            self._after(now + self._same, self._woke)
        else:
            self._at(now, self._woke)

    def _woke(self) -> None:
        self._send(Woke(self._agenda.now))

    # -- how it ends ------------------------------------------------------------------------------------------------

    def _lose(self, why: Why, at: float) -> None:
        """Nobody knows how it goes on: give back what it holds, as of ``at``, so that an attempt nobody made is not slow."""
        self._turn += 1
        self._plan.send(Abandoned(at))
        self._why = why
        if self._ended is not None:
            self._compare()

    def _compare(self) -> None:
        now, real, candidate = self._agenda.now, self._ended, self.would_end
        assert real is not None and candidate is not None  # noqa: S101, PT018 - both sides are over
        if self._why is None:
            self._tell(decided(now, self._who, real, candidate, self._same))
        else:
            self._tell(undecided(now, self._who, real, candidate, self._precisely(self._why)))

    def _precisely(self, why: Why) -> Why:
        """Only at the end is it known whether a target that was not asked then was asked at another moment."""
        asked = why is Why.NOT_ASKED and isinstance(self._step, Attempt) and self._step.target in self.actual.asked
        return Why.OTHER_MOMENT if asked else why

    def _at(self, when: float, happening: Callable[[], None]) -> None:
        self._agenda.at(when, self._still(), happening)

    def _after(self, when: float, happening: Callable[[], None]) -> None:
        self._agenda.after(when, self._still(), happening)

    def _still(self) -> Callable[[], bool]:
        """Whether the step of now is the step of then."""
        turn = self._turn
        return lambda: self._turn == turn and self._live()
