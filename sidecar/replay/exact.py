"""Replaying a journal as it was: the recorded inputs in their recorded order, into a new engine with the recorded seed.

There is no world and no heap here: everything that came from outside is in the journal, so everything that was decided must come out
the same. A difference is a bug, or a journal with gaps; both are said. Of a run whose beginning is missing nobody knows what was
remembered then: a call of it that comes out otherwise shows nothing, and is counted apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from sidecar.core.engine import Engine, Plan
from sidecar.core.fact import AttemptEnded, CallEnded, Emit, Fact
from sidecar.core.line import EVENTS, event_from, fault_from, number, policy_from, probe_from, to_line, whole, word
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Finish, Override
from sidecar.replay.journal import Journal, Line


class Fidelity(NamedTuple):
    """How many recorded calls came out the same. ``examples`` are the first of those that did not, as text.

    ``incomparable`` calls came out otherwise in a run that begins in the middle, or began before that.
    """

    calls: int
    same: int
    unfinished: int
    examples: tuple[str, ...] = ()
    incomparable: int = 0

    @property
    def differing(self) -> int:
        return self.calls - self.same - self.incomparable


MOST_DIFFERING = 20


class ExactReplay:
    """One run, replayed. ``emit`` gets every fact, as the outlets of the live sidecar did."""

    def __init__(self, journal: Journal, emit: Emit) -> None:
        self._journal = journal
        self._emit = emit
        self._engine: Engine | None = None
        self._at = -math.inf  # of the line before
        self._begun: set[int] = set()
        self._plans: dict[int, Plan] = {}
        self._recorded: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._replayed: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._same = 0  # calls that came out as they had; what was told of them is forgotten

    def run(self) -> Fidelity:
        for line in self._journal.lines:
            why = self._take(line)
            if why is not None:
                self._journal.skip(line.file, line.number, why)
        return self._fidelity()

    def _take(self, line: Line) -> str | None:
        """Why the line was skipped, if it was."""
        try:
            self._replay(line.fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "policy"
            return f"a policy that this version cannot read: {where}: {first['msg']}"
        except KeyError as error:
            return f"there is no {error.args[0]!r} in it"
        except (TypeError, ValueError) as error:
            return str(error)
        return None

    def _replay(self, fields: Any) -> None:
        kind = fields["in"]
        takes = _INPUTS.get(kind)
        if takes is not None:
            self._in_order(number(fields, "at"))
            if self._engine is None:
                raise ValueError("before any policy was in force")
            takes(self, self._engine, fields)
        elif kind in ("judged", "ended"):
            self._compare(whole(fields, "call"), fields)
        elif kind in ("adopt", "continued"):
            self._in_order(number(fields, "at"))
            self._adopt(fields)
        elif kind == "fault":  # no input: the outcome that came of it is
            self._in_order(number(fields, "at"))
            self._emit(fault_from(fields))
        elif kind == "dropped":
            raise ValueError(f"lines were lost before this one, {fields['lines']} of this run so far")

    def _in_order(self, at: float) -> None:
        """The order of the lines is that of their times. After one that is not, the next is measured against that one."""
        before, self._at = self._at, at
        if at < before:
            raise ValueError("earlier than the line before it")

    def _adopt(self, fields: Any) -> None:
        policy, revision, source = policy_from(fields), word(fields, "revision"), word(fields, "source")
        now = number(fields, "at")
        if self._engine is None:
            seed = self._journal.seed
            self._engine = Engine(now, policy, revision=revision, source=source, seed=seed, emit=self._note)
        else:
            self._engine.adopt(now, policy, revision=revision, source=source)

    def _call(self, engine: Engine, fields: Any) -> None:
        session = word(fields, "session") if "session" in fields else ""
        call = Call(whole(fields, "call"), number(fields, "patience"), word(fields, "correlation_id"), session)
        if call.number in self._begun:
            raise ValueError(f"call {call.number} begins a second time")
        self._begun.add(call.number)
        plan = engine.begin(number(fields, "at"), call)
        if not isinstance(plan.start(), Finish):
            self._plans[call.number] = plan

    def _event(self, _: Engine, fields: Any) -> None:
        call, event = whole(fields, "call"), event_from(fields)
        plan = self._plans.get(call)
        if plan is None:
            if not self._journal.complete:
                return  # it began before, or is over where the machines are not what they were
            raise ValueError(f"call {call} is not under way")
        if isinstance(plan.send(event), Finish):
            del self._plans[call]

    def _dormancy(self, engine: Engine, fields: Any) -> None:
        active = fields["active"]
        if active is not None and not (isinstance(active, list) and all(isinstance(name, str) for name in active)):
            raise TypeError(f"active must be names of services or nothing, found {active!r}")
        engine.hear_dormancy(number(fields, "at"), None if active is None else frozenset(active))

    def _health(self, engine: Engine, fields: Any) -> None:
        heard = probe_from(fields)
        engine.hear_health(heard.at, heard.target, heard.outcome, busy=heard.busy, seconds=heard.seconds)

    def _override(self, engine: Engine, fields: Any) -> None:
        target, override = word(fields, "target"), fields["override"]
        try:
            engine.override(number(fields, "at"), target, None if override is None else Override(override))
        except KeyError:
            raise ValueError(f"an override of {target!r}, which no policy has named") from None

    def _note(self, fact: Fact) -> None:
        self._emit(fact)
        if isinstance(fact, (AttemptEnded, CallEnded)):
            line = to_line(fact)
            assert line is not None  # noqa: S101 - both are results
            self._replayed[fact.call].append(line)

    def _compare(self, call: int, line: Mapping[str, Any]) -> None:
        """Take a recorded result. The replayed ones of a call are there by the time the recorded end of it is read."""
        recorded = self._recorded[call]
        recorded.append(dict(line))
        if line["in"] == "ended" and recorded == self._replayed.get(call):
            self._same += 1
            del self._recorded[call], self._replayed[call]

    def _fidelity(self) -> Fidelity:
        finished = [call for call, lines in self._recorded.items() if lines[-1]["in"] == "ended"]
        calls = len(finished) + self._same
        if not self._journal.complete:
            return Fidelity(calls, self._same, len(self._plans), (), len(finished))
        told = tuple(
            f"call {call}: recorded {self._recorded[call]}, replayed {_as_read(self._replayed[call])}"
            for call in finished[:MOST_DIFFERING]
        )
        return Fidelity(calls, self._same, len(self._plans), told)


def _as_read(lines: list[dict[str, Any]]) -> Any:
    """The lines as reading them would give them, so that both sides of a difference are in the same words."""
    return orjson.loads(orjson.dumps(lines))


_INPUTS: dict[str, Callable[[ExactReplay, Engine, Any], None]] = {
    "call": ExactReplay._call,  # noqa: SLF001 - its own table
    "dormancy": ExactReplay._dormancy,  # noqa: SLF001
    "health": ExactReplay._health,  # noqa: SLF001
    "override": ExactReplay._override,  # noqa: SLF001
    **dict.fromkeys(EVENTS, ExactReplay._event),  # noqa: SLF001
}
