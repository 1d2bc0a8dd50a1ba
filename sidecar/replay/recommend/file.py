"""Advice as a policy file: it extends the policy of today and states only what differs, each value below its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from sidecar.replay.recommend.advice import Advice
from sidecar.replay.recommend.quantiles import Quantile
from sidecar.replay.recommend.value import Proposal

WIDTH = 116


def policy_file(advice: Advice, *, extends: str | None, made_of: str) -> str:
    """``extends`` is the name of today's policy as the new file has to write it, None for the built-in one. Ends with a newline."""
    lines = [*_comment(f"Proposed by sidecar recommend from {made_of}.", 0), *_comment(advice.verdict, 0), ""]
    if extends is not None:
        lines += [f"extends: {_quoted(extends)}", ""]
    kept = [one.proposal for one in advice.tried if one.kept]
    lines += ["targets:"]
    ladder = advice.proposed.policy.ladder
    for target in advice.proposed.policy.targets:
        lines.append(f"  - name: {target.name}")
        lines += _written(_tree([one for one in kept if one.target == target.name]), 4)
        quantile = advice.hedge.get(target.name)
        if quantile is not None and target.name == ladder[0].name:
            lines += _comment(_hedge(quantile), 4)
    for one in advice.tried:
        if one.left_out:
            lines += _comment(
                f"Left out: {one.proposal.target} {one.proposal.path}: {one.proposal.value}, for {one.left_out}.", 0
            )
    for missing in advice.missing:
        lines += _comment(f"{missing.target} {missing.path}: {missing.why}.", 0)
    return "\n".join(lines) + "\n"


def _hedge(quantile: Quantile) -> str:
    return (
        f"A hedge would be worth sending after {quantile.seconds:.3g} s ({quantile.low:.3g} to {quantile.high:.3g}, n = {quantile.n}), "
        "if the target may be asked twice: effects and hedge.enabled are for you to state."
    )


def _tree(kept: Sequence[Proposal]) -> dict[str, Any]:
    """Sections within sections, with proposals for leaves."""
    tree: dict[str, Any] = {}
    for one in kept:
        place = tree
        *sections, field = one.path.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[field] = one
    return tree


def _written(tree: Mapping[str, Any], indent: int) -> Iterator[str]:
    for key, below in tree.items():
        if isinstance(below, Proposal):
            yield from _comment(f"{below.evidence}; {below.confidence} confidence. Was {below.present}.", indent)
            yield f"{' ' * indent}{key}: {below.value}"
        else:
            yield f"{' ' * indent}{key}:"
            yield from _written(below, indent + 2)


def _comment(text: str, indent: int) -> Iterator[str]:
    """What no line of YAML may hold stands in it as its escape: names of files may hold anything."""
    for line in wrap(_printable(text), WIDTH - indent):
        yield f"{' ' * indent}# {line}"


def _quoted(name: str) -> str:
    """A file name as YAML takes it whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_printable(escaped)}"'


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    """As a YAML text in double quotes has it."""
    return f"\\U{ord(character):08x}"
