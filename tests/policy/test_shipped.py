"""The files in ``policies/``: each loads, the default one is the default, and all of its fields are explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sidecar.policy.load import load, revision_of
from sidecar.policy.model import Policy
from sidecar.policy.section import Section

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.mark.parametrize("file", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_loads(file: Path) -> None:
    assert load(file).policy.version == 1


def test_the_default_file_is_the_default_policy() -> None:
    loaded = load(POLICIES / "default.yaml")
    assert loaded.policy == Policy()
    assert loaded.revision == revision_of(Policy())
    assert list(loaded.policy.fallback.local_text) == ["en", "es"]


def test_the_default_file_mentions_every_field() -> None:
    words = set(re.findall(r"[a-z_]+(?=:)|[a-z_]+", (POLICIES / "default.yaml").read_text()))
    assert {name for section in _sections(Section) for name in section.model_fields} <= words


def _sections(section: type[Section]) -> list[type[Section]]:
    return [section, *(found for below in section.__subclasses__() for found in _sections(below))]


def test_solo_madre_obeys_and_changes_nothing_else() -> None:
    policy = load(POLICIES / "solo_madre.yaml").policy
    assert policy.dormant.mode == "obey"
    assert policy == Policy(dormant={"mode": "obey"})


def test_patient_leaves_madre_the_time_it_needs() -> None:
    policy = load(POLICIES / "patient.yaml").policy
    switch, madre = policy.ladder
    budget = policy.deadline.client - policy.deadline.margin
    assert madre.reserve is not None
    assert switch.timeouts.attempt is not None
    assert madre.reserve > 7.1  # what madre needs while the switch hangs
    assert switch.limiter.queue_timeout + switch.timeouts.attempt + madre.reserve <= budget
    assert switch.breaker.open.base > switch.timeouts.attempt  # a probe ends before the next may begin
    assert switch.breaker.slow_call.duration < switch.timeouts.attempt  # else no call is ever slow
    assert (switch.limiter.max_concurrent, madre.limiter.max_concurrent) == (4, 2)
