"""From one version of the schema to the next, shown with made-up migrations: there is only one version so far."""

from __future__ import annotations

import pytest

from sidecar.policy.format import PRESENT, Schema, formatted, upgraded, version_of
from sidecar.policy.format.migrate import MIGRATIONS, Move, Reword
from sidecar.policy.load import PolicyError

MADE_UP = Schema(
    4,
    {
        1: (Move("patience.seconds", "deadline.client"), Reword("deadline.client", lambda text: f"{text}s")),
        2: (Move("targets[].tries", "targets[].retry.max_attempts"), Move("tries", "retry.max_attempts")),
        3: (Move("retry.times", "retry.max_attempts"), Reword("targets[].retry.on", lambda text: text)),
    },
)


def test_the_table_leads_from_every_version_to_the_present_one():
    assert sorted(MIGRATIONS) == list(range(1, PRESENT))


def test_a_file_is_brought_up_step_by_step_with_its_comments():
    before = """\
# of the file

# patience is a virtue
patience:  # in seconds
  # as the UI has it
  seconds: 4  # not five
  # and no more
tries: 3
targets:
  # the first
  - tries: 1  # once
    name: switch
  - {name: madre, tries: 2}
  - {name: local}
"""
    after = """\
# of the file

version: 4
deadline:
  # patience is a virtue
  # in seconds
  # as the UI has it
  # and no more
  client: 4s  # not five
targets:
  # the first
  - name: switch
    retry:
      max_attempts: 1  # once
  - {name: madre, retry: {max_attempts: 2}}
  - {name: local}
retry:
  max_attempts: 3
"""
    assert upgraded(before, "p", MADE_UP) == after
    assert upgraded(after, "p", MADE_UP) == after


def test_steps_find_nothing_where_nothing_is_stated():
    assert upgraded("mode: off\n", "p", MADE_UP) == "version: 4\nmode: off\n"
    assert upgraded("targets: []\nversion: 2", "p", MADE_UP) == "version: 4\ntargets: []\n"


def test_a_section_that_a_move_leaves_empty_takes_those_around_it_along():
    schema = Schema(2, {1: (Move("a.b.c", "mode"),)})
    text = "# of a\na:  # beside a\n  # of b\n  b:\n    # of c\n    c: off  # beside c\n    # foot\n"
    after = "version: 2\n# of a\n# beside a\n# of b\n# of c\n# foot\nmode: off  # beside c\n"
    assert upgraded(text, "p", schema) == after
    kept = "a:\n  b: {c: off, d: 1}\n"
    assert upgraded(kept, "p", schema) == "version: 2\nmode: off\na:\n  b: {d: 1}\n"


def test_a_key_that_stands_in_both_places_is_refused():
    with pytest.raises(PolicyError) as raised:
        upgraded("tries: 1\nretry: {max_attempts: 2}", "p", MADE_UP)
    assert str(raised.value) == "p:1:1: tries: is retry.max_attempts now, which is stated as well: keep one"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("targets: [  # why\n  {name: madre, tries: 1}]", "p:2:17: targets[].tries: cannot be upgraded in brackets that have comments in them: write one line for each key"),
        ("tries: 1\nretry: {on: [502,  # why\n  503]}", "p:1:1: retry: cannot be upgraded in brackets that have comments in them: write one line for each key"),
        ("{mode: off, # why\n}", "p:1:1: version: cannot be upgraded in brackets that have comments in them: write one line for each key"),
        ("version: 3\ntargets: [{name: madre, retry: {on: [502]}}]", "p:2:33: targets[].retry.on: cannot be upgraded as it is written: write it in one line"),
    ],
)  # fmt: skip
def test_what_cannot_be_upgraded_is_said_with_its_place(text, complaint):
    with pytest.raises(PolicyError) as raised:
        upgraded(text, "p", MADE_UP)
    assert str(raised.value) == complaint


def test_values_are_reworded_as_they_are_written():
    schema = Schema(
        2, {1: (Reword("deadline.client", str.upper), Reword("targets[].reserve", lambda text: f'"{text}"'))}
    )
    text = "deadline: {client: 'ab'}\ntargets:\n  - {name: madre, reserve: 010}\n"
    assert (
        upgraded(text, "p", schema)
        == 'version: 2\ndeadline: {client: AB}\ntargets:\n  - {name: madre, reserve: "010"}\n'
    )


# ── the version itself ──


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("mode: off\n", "version: 1\nmode: off\n"),
        ("# a\n\nmode: off\n", "# a\n\nversion: 1\nmode: off\n"),
        ("extends: a.yaml\n\nmode: off\n", "extends: a.yaml\nversion: 1\n\nmode: off\n"),
        ("mode: off\nversion: 1  # b\n", "version: 1  # b\nmode: off\n"),
        ("{mode: off}", "{version: 1, mode: off}\n"),
        ("{}", "{version: 1}\n"),
        ("", "version: 1\n"),
        ("# a\n\n# b\n", "# a\n\n# b\n\nversion: 1\n"),
    ],
)
def test_it_is_stated(text, after):
    assert upgraded(text, "p") == after
    assert formatted(after, "p") == after
    assert version_of(text, "p") == 1


def test_a_newer_one_is_refused():
    with pytest.raises(PolicyError) as raised:
        upgraded("mode: off\nversion: 2", "p")
    assert str(raised.value) == (
        "p:2:10: version: 2 is newer than 1, the newest this version of the sidecar knows: take a newer sidecar"
    )
    for wrong in ("0", "-1", "1.0", "'1'", "true", "[]"):
        with pytest.raises(PolicyError, match=r"p:1:10: version: must be a whole number from 1 to 1; found"):
            version_of(f"version: {wrong}", "p")
