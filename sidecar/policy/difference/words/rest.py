"""What replay can read, and what is promised: neither changes an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sidecar.policy.difference.change import Change, instead, many, outage_text
from sidecar.policy.objectives import PERIOD_DAYS
from sidecar.policy.units import duration_text as t
from sidecar.policy.units import share_text, size_text


def _dir(change: Change) -> str:
    if change.new is None:
        return f"no journal is written any more, until now in {change.old}; the flag --journal comes first"
    return f"a journal is written in {change.new}, until now {change.old or 'none'}; the flag --journal comes first"


def _disk(change: Change) -> str:
    old, new = (side.policy.journal for side in (change.a, change.b))
    return f"the disk needs {instead(size_text(old.max_file * old.keep), size_text(new.max_file * new.keep))}"


def _max_file(change: Change) -> str:
    return f"a file of the journal is closed beyond {size_text(change.new)} instead of {size_text(change.old)}; {_disk(change)}"


def _keep(change: Change) -> str:
    back = "further" if change.up else "less far"
    return (
        f"{change.new} closed files are kept instead of {change.old}: replay reaches {back} back, and {_disk(change)}"
    )


def _sample(change: Change) -> str:
    said = f"{share_text(change.new)} of the chats are recorded instead of {share_text(change.old)}"
    if change.new == 1:
        return f"{said}: a replay can prove that decisions come out the same"
    if change.old == 1:
        return f"{said}: a replay compares policies and can no longer prove that decisions come out the same"
    return f"{said}: intervals of a replay are {'narrower' if change.up else 'wider'}"


def _objective(name: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        old, new = (
            outage_text(next(one.outage for one in side.figures.budgets if one.objective == name))
            for side in (change.a, change.b)
        )
        strict = "alerts come sooner" if change.up else "alerts come later"
        return f"{new} of nothing but bad chats in {PERIOD_DAYS} days instead of {old} spend the budget: {strict}; no answer changes"

    return words


def _threshold(change: Change) -> str:
    counts = "fewer chats count as late" if change.up else "more chats count as late"
    return f"a chat is in time up to {t(change.new)} instead of {t(change.old)}: {counts}; no answer changes"


def _floor(what: str) -> Callable[[Change], str]:
    def words(change: Change) -> str:
        thin = "thin traffic alerts later" if change.up else "thin traffic alerts sooner"
        return f"a burn rate alerts once its window holds {many(change.new, what)} instead of {change.old}: {thin}; no answer changes"

    return words


WORDS: Mapping[str, Callable[[Change], str]] = MappingProxyType(
    {
        "journal.dir": _dir,
        "journal.max_file": _max_file,
        "journal.keep": _keep,
        "journal.sample": _sample,
        "slo.availability": _objective("availability"),
        "slo.undegraded": _objective("undegraded"),
        "slo.latency.quantile": _objective("latency"),
        "slo.latency.threshold": _threshold,
        "slo.min_calls": _floor("chat"),
        "slo.min_bad": _floor("bad chat"),
    }
)
