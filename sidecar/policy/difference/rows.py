"""The figures of two policies side by side, in words and units of policy files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sidecar.policy.difference.change import Side, outage_text
from sidecar.policy.figures import Span, TargetFigures
from sidecar.policy.objectives import PERIOD_DAYS
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text

ABSENT = "-"


class Row(NamedTuple):
    """One figure: a stable ``figure`` name, the target it is of, what it is in words, and its two values (``-``: none)."""

    figure: str
    target: str | None
    label: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        return self.before != self.after


def rows(a: Side, b: Side) -> tuple[Row, ...]:
    """Every figure of either policy."""
    before, after = a.figures, b.figures
    names = (*b.names, *(name for name in a.names if name not in b.names))
    found = [Row("answer_by", None, "a chat is answered after, at the latest", t(before.answer_by), t(after.answer_by))]
    for name in names:
        found += _of_a_target(name, a.worked_out.get(name), b.worked_out.get(name))
    attempts = (str(before.layers.sidecar), str(after.layers.sidecar))
    found.append(Row("attempts", None, "attempts one chat leads to at most", *attempts))
    sustained = (f"{before.sustained:.4g}", f"{after.sustained:.4g}")
    found.append(Row("sustained", None, "attempts per chat in the long run at most", *sustained))
    for old, new in zip(before.budgets, after.budgets, strict=True):
        label = f"{new.objective}, and bad chats it leaves in {PERIOD_DAYS} days"
        promises = (f"{share_text(one.target)}, {outage_text(one.outage)}" for one in (old, new))
        found.append(Row(f"budget_{new.objective}", None, label, *promises))
    return tuple(found)


def _of_a_target(name: str, before: TargetFigures | None, after: TargetFigures | None) -> Iterator[Row]:
    old, new = (dict(_figures(one)) if one else {} for one in (before, after))
    for figure, label in _LABELS.items():
        yield Row(figure, name, f"{name}: {label}", old.get(figure, ABSENT), new.get(figure, ABSENT))


_LABELS = {
    "target_attempts": "attempts for one chat at most",
    "attempt_timeout": "attempt timeout",
    "reserve": "time kept back for it",
    "latency": "takes at most",
    "over_by": "is over by",
    "amplification": "attempts for n chats at most",
    "degraded": "noticed, once it is back, after",
    "at_once": "chats at once",
}


def _figures(of: TargetFigures) -> Iterator[tuple[str, str]]:
    yield "target_attempts", str(of.attempts) + f" and {of.hedges} hedge" * of.hedges
    yield "attempt_timeout", _span(of.attempt) + " (auto)" * of.attempt_auto
    yield "reserve", t(of.reserve) + " (auto)" * of.reserve_auto
    yield "latency", t(of.latency)
    yield "over_by", t(of.by)
    yield "amplification", f"{1 + of.ratio:.4g}n + {of.burst:g}" if of.requests > 1 else "n"
    yield "degraded", t(of.degraded)
    yield "at_once", f"{of.concurrent} + {of.queue} waiting"


def _span(times: Span) -> str:
    return t(times.most) if times.least == times.most else f"{t(times.least)} to {t(times.most)}"
