"""Advice from a journal: proposals for every target, tried one by one and together against the policy of today.

A proposal that makes things worse by itself, with an interval that says so, and more than it may or for nothing, is left out and said so,
as is one with which a policy would state what cannot work. What remains is a policy, and its replay beside that of today says whether it
would have been better, or why not. Single trials need no more than ``MOST_ALONE`` calls: of a longer journal, stretches spread evenly over
it; both policies together are replayed over all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

from sidecar.policy.lint import named
from sidecar.policy.load import Loaded, revision_of
from sidecar.policy.model import Policy
from sidecar.replay.column import Comparison, Difference
from sidecar.replay.figures.intervals import Resampled, blocks_of
from sidecar.replay.job import Job, Runs, one_by_one
from sidecar.replay.recommend.evidence import seen_in
from sidecar.replay.recommend.proposals import proposals
from sidecar.replay.recommend.quantiles import Quantile
from sidecar.replay.recommend.stretches import stretches_of
from sidecar.replay.recommend.value import Missing, Proposal
from sidecar.replay.recommend.verdict import hurts, verdict
from sidecar.replay.study import Study, Trial, compare, pasts
from sidecar.replay.worlds.past import Past

MOST_ALONE = 100_000  # calls of single trials
PROPOSED = "proposed"
WORSE = "alone it makes things worse"
WORSE_BESIDES = "with what is proposed before it, it makes things worse"

Group = tuple[Proposal, ...]


class Tried(NamedTuple):
    """A proposal, with what else is of its group, against the policy of today. ``left_out``: why, "" where it is in what is proposed."""

    proposal: Proposal
    left_out: str
    differences: tuple[Difference, ...]

    @property
    def kept(self) -> bool:
        return not self.left_out


class Advice(NamedTuple):
    """``proposed`` is the policy with all that was kept; ``comparison`` has the columns recorded, today's and proposed.

    ``hedge`` by target: after how long a second request would be worth sending, were it safe to send one. ``alone``: out of how
    many calls single trials are.
    """

    present: Loaded
    proposed: Loaded
    tried: tuple[Tried, ...]
    missing: tuple[Missing, ...]
    hedge: dict[str, Quantile]
    alone: int
    comparison: Comparison
    verdict: str


def advise(
    found: Study,
    present: Loaded,
    runs: Runs = one_by_one,
    *,
    most_alone: int = MOST_ALONE,
    draws: int | None = None,
) -> Advice:
    """``present`` is the policy of today, which the proposals change. ``runs`` makes the trials.

    ``draws``: how often the world is drawn for both policies, None: as the length of the journal asks for.
    """
    draws = draws or found.repeats
    past = pasts(found)
    seen = seen_in(past, present.policy)
    listed = list(proposals(seen, present.policy))
    some = stretches_of(past, most_alone)
    tried = _tried(some, present, [one for one in listed if isinstance(one, Proposal)], runs)
    comparison = _together(found, past, (present, _proposed(present, tried)), draws, runs)
    if tried and hurts(_todays(comparison)):
        tried = _one_after_the_other(some, present, tried, runs)
        comparison = _together(found, past, (present, _proposed(present, tried)), draws, runs)
    missing = tuple(one for one in listed if isinstance(one, Missing))
    return Advice(
        present=present,
        proposed=_proposed(present, tried),
        tried=tuple(tried),
        missing=missing,
        hedge={each.target: quantile for each in seen if (quantile := each.times.quantile(0.95)) is not None},
        alone=_job(some, present).calls,
        comparison=comparison,
        verdict=verdict(comparison, _todays(comparison), missing, any(one.kept for one in tried)),
    )


def changed(present: Loaded, kept: Sequence[Proposal]) -> Loaded:
    """``present`` with the values of ``kept``. Raises pydantic's ValidationError where they are no policy together."""
    data: dict[str, Any] = present.policy.model_dump(mode="json")
    for one in kept:
        place: Any = next(target for target in data["targets"] if target["name"] == one.target)
        *sections, field = one.path.split(".")
        for section in sections:
            place = place[section]
        place[field] = int(one.value) if one.value.isdigit() else one.value
    policy = Policy.model_validate(data)
    return Loaded(policy, revision_of(policy), PROPOSED, {})


def _tried(some: Sequence[Past], present: Loaded, wanted: Sequence[Proposal], runs: Runs) -> list[Tried]:
    """Each group alone; of those that do not hurt, one after the other those with which the policy still can work."""
    groups = list(_groups(wanted))
    if not groups:
        return []
    jobs = [_job(some, present), *(_job(some, changed(present, group)) for group in groups)]
    base, *alone = map(_resampled, runs("trying each alone", jobs))
    found: list[Tried] = []
    for group, one in zip(groups, alone, strict=True):
        differences = _differences(present, base, one, f"{group[0].target} {group[0].path}")
        kept = [one.proposal for one in found if one.kept]
        left_out = WORSE if hurts(differences) else _contradiction(present, [*kept, *group])
        found += [Tried(proposal, left_out, differences) for proposal in group]
    return found


def _groups(wanted: Sequence[Proposal]) -> Iterator[Group]:
    for (_, group), members in groupby(wanted, key=lambda one: (one.target, one.group)):
        if group:
            yield tuple(members)
        else:
            yield from ((one,) for one in members)


def _contradiction(present: Loaded, kept: Sequence[Proposal]) -> str:
    """What is found to be an error with all of ``kept`` that is none today; "" if nothing is."""
    today = {name for name, finding in named(present, {}).items() if finding.severity == "error"}
    found = named(changed(present, kept), {})
    errors = [finding for name, finding in found.items() if finding.severity == "error" and name not in today]
    return f"with the rest it cannot work: {errors[0].message}" if errors else ""


def _proposed(present: Loaded, tried: Sequence[Tried]) -> Loaded:
    return changed(present, [one.proposal for one in tried if one.kept])


def _together(
    found: Study, past: Sequence[Past], policies: tuple[Loaded, Loaded], draws: int, runs: Runs
) -> Comparison:
    """What was recorded, today's policy and the proposed one, each in all draws."""
    jobs = [_job(past, policy, repeat) for policy in policies for repeat in range(draws)]
    trials = runs("trying all together", jobs)
    return compare(found, past, [trials[:draws], trials[draws:]])


def _todays(comparison: Comparison) -> tuple[Difference, ...]:
    """How what is proposed differs from today's: the last of each figure, for a policy of today may be called as another column."""
    last = {one.figure: one for one in comparison.differences if one.column == PROPOSED}
    return tuple(last.values())


def _one_after_the_other(some: Sequence[Past], present: Loaded, tried: Sequence[Tried], runs: Runs) -> list[Tried]:
    """What hurts nobody alone may do so together: each group is added to those before it, and stays if nothing is worse than it may be."""
    [base] = map(_resampled, runs("trying one after the other", [_job(some, present)]))
    found: list[Tried] = []
    for group in _groups([one.proposal for one in tried]):
        before = [one for one in tried if one.proposal in group]
        left_out = before[0].left_out
        if not left_out:
            kept = [one.proposal for one in found if one.kept]
            job = _job(some, changed(present, [*kept, *group]))
            [one] = map(_resampled, runs("trying one after the other", [job]))
            left_out = WORSE_BESIDES if hurts(_differences(present, base, one, PROPOSED)) else ""
        found += [each._replace(left_out=left_out) for each in before]
    return found


def _job(past: Sequence[Past], loaded: Loaded, repeat: int = 0) -> Job:
    """A trial without what a policy breaks on purpose: advice is about days on which nobody does."""
    policy = loaded.policy
    if policy.chaos:
        loaded = replace(loaded, policy=policy.model_copy(update={"chaos": ()}))
    return Job(past, loaded, repeat=repeat)


def _resampled(one: Trial) -> Resampled:
    return Resampled([blocks_of(one.summary.shares)])


def _differences(present: Loaded, base: Resampled, one: Resampled, name: str) -> tuple[Difference, ...]:
    return tuple(Difference(present.source, name, figure, *found) for figure, found in one.minus(base).items())
