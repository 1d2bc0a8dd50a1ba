"""A real sidecar that loses its process, disk, log, descriptors, time, policy, Redis or targets: the short form of ``benchmarks.losses``."""

from __future__ import annotations

import re
from random import Random

import pytest

from benchmarks.losses import __main__ as command
from benchmarks.losses.case import HEAD, Case, Claim, Told, exactly, markdown, none, times, within
from benchmarks.losses.catalogue import CASES
from benchmarks.losses.play import play, seed_of
from benchmarks.losses.skewed import Clock
from benchmarks.parts import ROOT
from benchmarks.redis_server import REDIS
from sidecar.lab.luck import new_seed

DOCUMENT = ROOT / "docs" / "losses.md"


@pytest.mark.parametrize("case", [case for case in CASES if case.brief], ids=lambda case: case.name)
def test_what_is_claimed_of_a_loss_holds(figures, case):
    if case.name.startswith("redis") and REDIS is None:
        pytest.skip("redis-server is not installed: tests/deps.sh installs it")
    seed = new_seed()
    found = play(case, seed, brief=True)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    assert case.broken(found) == [], f"seed {seed}: {shown}"
    figures.append(f"losses, {case.name}, seed {seed}: {shown}")


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_document_has_a_row_for_each_case_and_each_holds():
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    table = [row for row in cells if len(row) == len(HEAD)]
    assert table[0] == list(HEAD)
    assert [row[0] for row in table[1:]] == [case.name for case in CASES]
    assert {row[-1] for row in table[1:]} == {"holds"}


def test_every_event_and_metric_that_rows_name_is_one_of_the_sidecar():
    """What a row says in words of its own, the code says too: a renamed event or metric would leave the document behind."""
    sources = "".join(path.read_text() for path in (ROOT / "sidecar" / "edge").rglob("*.py"))
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)", DOCUMENT.read_text(encoding="utf-8")))
    assert {"lines_lost", "descriptors_exhausted", "loop_stalled", "journal_dropped_total"} <= names
    for name in names:
        assert name in sources or name.removesuffix("_total") in sources, name


# -- that claims can be missed -----------------------------------------------------------------------------------------


class Drawn(dict):
    """Figures that are what luck says: each name has one."""

    def __init__(self, luck):
        super().__init__()
        self._luck = luck

    def __missing__(self, name):
        return self.setdefault(name, self._luck.choice((0, 1, 2, 3, 5, 20, 0.5, 1e9, -1, -3600)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_claim_can_hold_and_can_be_missed(case):
    for claim in case.claims:
        luck = Random(1)
        assert {bool(claim.holds(Drawn(luck))) for _ in range(300)} == {True, False}, claim.words


@pytest.mark.parametrize(
    ("claim", "good", "bad"),
    [
        (none("n", "w"), 0, 1),
        (exactly("n", 2, "w"), 2, 3),
        (exactly("n", 2, "w"), 2, 1),
        (within("n", 2, "w"), 2, 2.1),
    ],
)
def test_claims_hold_where_they_should(claim, good, bad):
    assert claim.holds({"n": good})
    assert not claim.holds({"n": bad})


async def nothing(stage):
    raise AssertionError


def made_up(name):
    claims = (none("lost", "nothing is lost"), Claim("it is said", lambda it: it["said"] > 0))
    return Case(name, lambda it: f"{it['lost']} taken", nothing, lambda _: Told("a", "b", "c"), claims)


def test_a_row_says_what_does_not_hold():
    case = made_up("some case")
    assert case.row({"lost": 0, "said": 1}) == ("some case", "0 taken", "a", "b", "c", "holds")
    assert case.row({"lost": 2, "said": 0})[-1] == "BROKEN: nothing is lost; it is said"
    assert list(markdown([("x",) * len(HEAD)]))[1:] == ["|---|---|---|---|---|---|", "| x | x | x | x | x | x |"]
    assert [times(number) for number in (0, 1, 2, 3)] == ["never", "once", "twice", "3 times"]


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 1)])
def test_the_exit_status_says_whether_a_claim_is_broken(monkeypatch, capsys, lost, code):
    played = []
    monkeypatch.setattr(command, "CASES", (made_up("one"), made_up("one more"), made_up("other")))
    monkeypatch.setattr(
        command, "play", lambda case, seed, brief: played.append(case.name) or {"lost": lost, "said": 1}
    )
    assert command.main(["one", "--seed", "3"]) == code
    assert played == ["one", "one more"]
    said = capsys.readouterr().out
    assert "seed 3" in said
    assert ("BROKEN" in said) == bool(code)


def test_a_case_that_is_not_there(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["flood"])
    assert ended.value.code == 2
    assert "no case 'flood'; there are killed, disk full, " in capsys.readouterr().err


def test_seeds_follow_from_one_and_each_case_has_its_own():
    assert seed_of(7, CASES[0]) == seed_of(7, CASES[0]) != seed_of(7, CASES[1])


def test_a_clock_that_others_set_is_read_anew_each_time(tmp_path):
    setter, reader = Clock(tmp_path / "clock"), Clock(tmp_path / "clock")
    before = reader.time()
    setter.set(3600.0)
    assert 3600 <= reader.time() - before < 3660
    setter.set(-3600.0)
    assert -3600 <= reader.time() - before < -3540
    assert abs(reader.time_ns() / 1e9 - reader.time()) < 60
