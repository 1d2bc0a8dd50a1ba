"""A value for a field of one target, or why there is none."""

from __future__ import annotations

from typing import NamedTuple

FEWEST = 200  # attempts without which nothing is said of a target

HIGH, FAIR, LOW = "high", "fair", "low"


class Proposal(NamedTuple):
    """``value`` for the field at ``path`` of ``target``, as a policy file writes it; ``present`` is what the policy has.

    ``evidence`` is a sentence, out of ``n`` observations. ``confidence`` is high, fair or low. Proposals of one target with the same
    ``group`` mean something together only, and are tried so.
    """

    target: str
    path: str
    present: str
    value: str
    evidence: str
    n: int
    confidence: str
    group: str = ""


class Missing(NamedTuple):
    """No value for a field, and why; ``enough``: the data would do, and the policy's own value is as good as any."""

    target: str
    path: str
    why: str
    n: int
    enough: bool = False


Found = Proposal | Missing


def too_few(target: str, path: str, n: int, needed: int, what: str = "attempts while it was well") -> Missing:
    return Missing(target, path, f"not enough data: {n} {what}, {needed} are needed", n)


def unless_present(proposal: Proposal) -> Found:
    """The proposal, or that the policy has this value already."""
    if proposal.value != proposal.present:
        return proposal
    why = f"{proposal.present} is right: {proposal.evidence}"
    return Missing(proposal.target, proposal.path, why, proposal.n, enough=True)
