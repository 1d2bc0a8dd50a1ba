"""The proposed policy as a file: it is read as what was proposed, whatever the files are called, and says why."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import cli
from sidecar.policy.load import load, parse
from sidecar.policy.source import read
from sidecar.replay.recommend import advice as module
from sidecar.replay.recommend import file
from sidecar.replay.recommend.advice import advise
from sidecar.replay.recommend.file import policy_file
from sidecar.replay.recommend.quantiles import Quantile
from sidecar.replay.recommend.value import Missing, Proposal
from sidecar.replay.study import study
from tests.replay.known import QUICK, arrivals, journal, steady

BUILT_IN = parse("", "built-in")
HOSTILE = [
    "to day.yaml",
    "día ☂.yaml",
    'qu"ote\\d.yaml',
    "# no comment: [a, {b.yaml",
    "line\nbreak: 1.yaml",
    "bell\x07esc\x1b[31m.yaml",
    "sep\u2028\x85\u00a0.yaml",
    "true",
    "1e5",
    "- x.yaml",
    "%TAG.yaml",
]


def proposal(path, value, target="switch", group="", evidence="95 % of 400 answers came within 0.5 s (0.4 to 0.6)"):
    return Proposal(target, path, "auto", value, evidence, 400, "fair", group)


WANTED = (
    proposal("reserve", "612ms", "madre"),
    proposal("timeouts.attempt", "1.23s"),
    proposal("breaker.slow_call.duration", "1.1s"),
    proposal("breaker.consecutive", "4"),
    proposal("breaker.min_calls", "24", group="window"),
    proposal("breaker.window.size", "24", group="window"),
    proposal("breaker.open.base", "6.32s"),
    proposal("limiter.max_concurrent", "1", group="queue"),
    proposal("limiter.queue", "3", group="queue"),
)
MISSING = (Missing("madre", "limiter.queue", "not enough data: 3 attempts, 200 are needed", 3),)


@pytest.fixture
def advised(tmp_path, monkeypatch):
    """Advice for a policy, with proposals of every kind; what hurts is left to other tests."""
    kept = study([journal(tmp_path / "journal.jsonl", steady(madre=QUICK), BUILT_IN, arrivals(30, 2.0))])

    def advised(present=BUILT_IN, wanted=WANTED):
        monkeypatch.setattr(module, "proposals", lambda _seen, _policy: iter((*wanted, *MISSING)))
        return advise(kept, present, draws=1)

    return advised


def written(tmp_path, advice, extends=None, made_of="journal"):
    path = tmp_path / "proposed.yaml"
    path.write_text(policy_file(advice, extends=extends, made_of=made_of), encoding="utf-8")
    return path


def test_the_file_is_what_was_proposed(tmp_path, advised):
    advice = advised()
    assert all(one.kept for one in advice.tried)
    loaded = load(written(tmp_path, advice))
    assert loaded.revision == advice.proposed.revision != BUILT_IN.revision
    switch, madre = loaded.policy.ladder
    assert (switch.timeouts.attempt, madre.reserve, switch.breaker.window.size) == (1.23, 0.612, 24)


@pytest.mark.parametrize("name", ["default", "patient", "solo_madre"])
def test_it_extends_the_policy_of_today_and_states_only_what_differs(tmp_path, advised, name):
    source = tmp_path / f"{name}.yaml"
    shipped = module_root() / "policies"
    for each in ("default", "patient", "solo_madre"):
        (tmp_path / f"{each}.yaml").write_bytes((shipped / f"{each}.yaml").read_bytes())
    advice = advised(load(source), WANTED[:1] + WANTED[3:4])
    path = written(tmp_path, advice, extends=source.name)
    assert load(path).revision == advice.proposed.revision
    stated = [line for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#")]
    assert stated == [
        f'extends: "{name}.yaml"', "targets:", "  - name: switch", "    breaker:", "      consecutive: 4", "  - name: madre",
        "    reserve: 612ms", "  - name: local",
    ]  # fmt: skip


def module_root():
    from pathlib import Path  # noqa: PLC0415

    return Path(__file__).parents[2]


def test_every_value_stands_below_its_evidence(tmp_path, advised):
    lines = written(tmp_path, advised()).read_text().splitlines()
    place = lines.index("      attempt: 1.23s")
    assert lines[place - 1] == "      # 95 % of 400 answers came within 0.5 s (0.4 to 0.6); fair confidence. Was auto."
    assert lines[0] == "# Proposed by sidecar recommend from journal."
    assert "# madre limiter.queue: not enough data: 3 attempts, 200 are needed." in lines
    assert all(len(line) <= 116 for line in lines)


def test_what_was_left_out_is_said(tmp_path, advised):
    advice = advised()
    left_out = advice._replace(
        tried=tuple(one._replace(left_out="alone it makes things worse") for one in advice.tried[:1]),
        proposed=BUILT_IN,
    )
    text = policy_file(left_out, extends=None, made_of="j")
    assert "# Left out: madre reserve: 612ms, for alone it makes things worse.\n" in text
    assert parse(text, "proposed.yaml").revision == BUILT_IN.revision


def test_a_hedge_is_told_and_not_stated(tmp_path, advised):
    advice = advised()._replace(
        hedge={"switch": Quantile(0.95, 0.5, 0.4, float("inf"), 400), "madre": Quantile(0.95, 1, 1, 1, 9)}
    )
    text = policy_file(advice, extends=None, made_of="j")
    assert text.count("A hedge would be worth sending") == 1
    assert "after 0.5 s (0.4 to inf, n = 400)" in text
    assert parse(text, "proposed.yaml").revision == advice.proposed.revision


@pytest.mark.parametrize("name", HOSTILE)
def test_files_may_be_called_anything(tmp_path, advised, name):
    (tmp_path / name).write_text("deadline: {client: 4s}\n")
    advice = advised(load(tmp_path / name), WANTED[3:4])
    path = written(tmp_path, advice, extends=name, made_of=f"journals of {name}, {name}")
    assert load(path).revision == advice.proposed.revision
    assert load(path).policy.deadline.client == 4.0


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_a_name_is_read_as_it_was_written(name):
    root, problems = read(f"extends: {file._quoted(name)}\n", "x.yaml")
    assert problems == []
    assert root.value["extends"].value == name


@given(st.text())
def test_a_comment_stays_one(text):
    """Whatever is in it: no line of it is anything but a comment, and all of it can be written."""
    lines = list(file._comment(text, 4))
    root, problems = read("\n".join([*lines, "version: 1"]) + "\n", "x.yaml")
    assert problems == []
    assert list(root.value) == ["version"]
    "\n".join(lines).encode()


def test_journals_may_be_called_what_is_no_text(tmp_path, advised):
    advice = advised()
    assert load(written(tmp_path, advice, made_of=os.fsdecode(b"\xff\xfe.jsonl"))).revision == advice.proposed.revision


def test_it_passes_check(tmp_path, advised, capsys):
    path = written(tmp_path, advised())
    cli.main(["check", str(path)])
    assert ": no errors, no warnings" in capsys.readouterr().out
