"""The outage drills in their brief form, on virtual time and live; and each claim finds what it looks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import pytest

from benchmarks.outages import __main__ as command
from benchmarks.outages import figures, live, virtual
from benchmarks.outages.drills import DRILLS, brownout, herd, outage, storm
from benchmarks.outages.setting import (
    NO_BREAKER,
    NO_LIMITER,
    Asked,
    Chat,
    Claim,
    Drill,
    Form,
    Move,
    Run,
    Runs,
    Setting,
    Way,
    of_switch,
)
from benchmarks.outages.upstream import GOOD, REFUSED, RESET, UNAVAILABLE, Capacity, Trouble, Upstream
from sidecar.core.breaker import Breaker
from sidecar.core.budget import RetryBudget
from sidecar.core.limiter import Limiter
from sidecar.core.scene import Call
from sidecar.core.vocabulary import Ticket
from sidecar.lab.luck import new_seed

# On virtual time a seed decides everything, and of claims about shares and longest waits a rare one misses one that holds: new seeds are
# what ``make outages`` draws, ten a drill.
SEED = 1
BRIEF = {way: command.form_of(way, brief=True) for way in command.WAYS}
by_name = pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)

pytestmark = pytest.mark.uncounted


def told(drill: Drill, runs: Runs) -> str:
    head, rows = drill.table([[run] for run in runs.values()])
    lines = ["  ".join(str(cell) for cell in row if str(cell)) for row in (head, *rows)]
    return "\n".join([f"outage drill {drill.name}, seed {next(iter(runs.values())).seed}", *lines])


def broken(drill: Drill, way: Way, runs: Runs) -> dict[str, list[str]]:
    return {words: where for words, where in command.missed(drill, BRIEF[way], [runs]) if where}


# -- what is claimed ---------------------------------------------------------------------------------------------------


@by_name
def test_what_is_claimed_of_a_drill_holds_on_virtual_time(drill: Drill, figures: list[str]) -> None:
    (runs,) = command.play(drill, "virtual", BRIEF["virtual"], [SEED])
    assert broken(drill, "virtual", runs) == {}
    figures.append(told(drill, runs))


@pytest.fixture(scope="module")
def played() -> dict[str, Runs]:
    """All four live, in the same seconds: each setting has sidecars and targets of its own."""
    settings = {drill.name: command.settings_of(drill, "live", BRIEF["live"]) for drill in DRILLS}
    seed = new_seed()
    print(f"seed {seed}")
    runs = iter(live.play_all([setting for listed in settings.values() for setting in listed], seed))
    return {name: {setting.name: next(runs) for setting in listed} for name, listed in settings.items()}


@by_name
def test_what_is_claimed_of_a_drill_holds_live(drill: Drill, played: dict[str, Runs], figures: list[str]) -> None:
    runs = played[drill.name]
    assert broken(drill, "live", runs) == {}, told(drill, runs)
    figures.append(told(drill, runs))


# -- and what each claim would find ------------------------------------------------------------------------------------


FULL = Form()
SOON = Form(herd.LIVE_OUTAGE)  # the herd after twenty seconds of outage


def of(drill: Drill, name: str, form: Form = FULL, /, **changed: object) -> Setting:
    """A setting of a drill, changed."""
    found = {setting.name: setting for setting in drill.settings(form, "virtual")}[name]
    return found._replace(**changed)  # type: ignore[arg-type]


HUNG = of(outage.DRILL, "hung, 10/s")
THIN = of(outage.DRILL, "hung, 1/s")
FAST = of(outage.DRILL, "hung, 50/s")
SPREAD, PLAIN, BARE = (of(herd.DRILL, name, SOON, rate=100.0) for name in (herd.SPREAD, herd.PLAIN, herd.BARE))
COLD = SPREAD.trouble._replace(cold=6.0, warms=100_000)
AGAIN = "effects: none, timeouts: {attempt: 400ms}, retry: {max_attempts: 10, on_timeout: true}"
UNGUARDED = of_switch(AGAIN, NO_BREAKER, NO_LIMITER)

Patch = pytest.MonkeyPatch


def nothing(_: Patch) -> None:
    """What is wrong is stated in the setting."""


def impatient(patch: Patch) -> None:
    """The sidecar takes a second more than its clients have."""
    patch.setattr(virtual, "Call", lambda number, patience, who: Call(number, patience + 1.0, who))


def sent_twice(patch: Patch) -> None:
    """Somebody below sends a request again, as HTTP clients do."""
    answer = Upstream.answer

    def twice(self: Upstream, now: float, chat: int) -> tuple[float, object]:
        if not chat % 100:
            answer(self, now, chat)
        return answer(self, now, chat)

    patch.setattr(Upstream, "answer", twice)


def a_slot_kept(patch: Patch) -> None:
    leave, left = Limiter.leave, []

    def forgetful(self: Limiter, now: float, ticket: Ticket) -> None:
        left.append(now)
        if len(left) != 20:
            leave(self, now, ticket)

    patch.setattr(Limiter, "leave", forgetful)


def permits_kept(patch: Patch) -> None:
    patch.setattr(Breaker, "settle", lambda *_: None)


def lets_everybody_pass(patch: Patch) -> None:
    patch.setattr(Breaker, "refusal", lambda *_: None)


def stays_open(patch: Patch) -> None:
    """For thirty times as long as the policy says."""
    open_time = Breaker._open_time
    patch.setattr(Breaker, "_open_time", lambda self: 30 * open_time(self))


def pays_for_everything(patch: Patch) -> None:
    patch.setattr(RetryBudget, "withdraw", lambda *_: True)


def all_draw_the_same(patch: Patch) -> None:
    """Twenty replicas with one seed, so that jitter spreads nobody."""
    patch.setattr(virtual, "seed_of", lambda *_: 4)


class Fault(NamedTuple):
    """Something wrong, what the claim that begins with ``words`` says of it, and with which settings."""

    drill: Drill
    words: str
    says: str
    fault: Callable[[Patch], None]
    settings: tuple[Setting, ...]


FAULTS = [
    Fault(outage.DRILL, "no chat fails", "failed: ", nothing, (FAST._replace(states="fallback: {local: error}\n"),)),
    Fault(outage.DRILL, "no answer comes later", "late, the slowest 5.", impatient, (THIN,)),
    Fault(outage.DRILL, "before, the switch", "% before", nothing, (HUNG._replace(switch=Capacity(1, 0.5)),)),
    Fault(outage.DRILL, "sidecars and switch agree", "the sidecars tell of", sent_twice, (HUNG,)),
    Fault(outage.DRILL, "in the end no slot", "switch keeps 1 slots", a_slot_kept, (HUNG,)),
    Fault(outage.DRILL, "in the end no slot", " permits", permits_kept, (HUNG,)),
    Fault(outage.DRILL, "during the outage the switch", "allowed", lets_everybody_pass, (THIN,)),
    Fault(outage.DRILL, "half of the chats", "half of them after", lets_everybody_pass, (THIN,)),
    Fault(outage.DRILL, "the switch answers 99 % again", "allowed", stays_open, (FAST,)),
    Fault(
        brownout.DRILL, "attempts at the switch", "attempts", pays_for_everything,
        (of(brownout.DRILL, brownout.HARDEST, states=UNGUARDED),),
    ),
    Fault(
        brownout.DRILL, "of 30 % slow", "clients waited", nothing,
        (of(brownout.DRILL, brownout.UNGUARDED, name=brownout.HARDEST), of(brownout.DRILL, brownout.UNGUARDED)),
    ),
    Fault(brownout.DRILL, "the switch answers 99 % again", "allowed", stays_open, (of(brownout.DRILL, "all 3.5 s slower"),)),
    Fault(
        storm.DRILL, "shipped, and with guarded retries", "allowed", nothing,
        (of(storm.DRILL, storm.UNGUARDED, name=storm.GUARDED),),
    ),
    Fault(
        storm.DRILL, "there, attempts are", "attempts", pays_for_everything,
        (of(storm.DRILL, storm.GUARDED, states=UNGUARDED),),
    ),
    Fault(
        storm.DRILL, "with no guard", "in the end", nothing,
        (of(storm.DRILL, storm.GUARDED, name=storm.UNGUARDED),),
    ),
    Fault(herd.DRILL, "every breaker is closed", "all closed after", stays_open, (SPREAD,)),
    Fault(
        herd.DRILL, "shipped, the switch is not pushed over", "waited", nothing,
        (BARE._replace(name=herd.SPREAD, rate=herd.RATE),),
    ),
    Fault(herd.DRILL, "5 s after all are closed", "by the switch", nothing, (SPREAD._replace(trouble=COLD, rate=herd.RATE),)),
    Fault(herd.DRILL, "shipped, at most", "probes within 100 ms", all_draw_the_same, (SPREAD,)),
    Fault(herd.DRILL, "and the first of each", "without jitter", all_draw_the_same, (SPREAD, PLAIN._replace(states=SPREAD.states))),
    Fault(herd.DRILL, "without jitter and limits", "waited", nothing, (SPREAD, SPREAD._replace(name=herd.BARE))),
]  # fmt: skip


def claimed(fault: Fault) -> Claim:
    (claim,) = [claim for claim in fault.drill.claims if claim.words.startswith(fault.words)]
    return claim


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.words}: {fault.fault.__name__}")
def test_a_fault_is_found_by_the_claim_that_looks_for_it(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.fault(monkeypatch)
    runs = {setting.name: virtual.play(setting, 1) for setting in fault.settings}
    assert fault.says in "; ".join(claimed(fault).missed(runs))


def test_every_claim_has_a_fault_that_it_finds() -> None:
    """Those of all drills are tried with one of them."""
    assert {claimed(fault) for fault in FAULTS} == {claim for drill in DRILLS for claim in drill.claims}


# -- what the figures are made by --------------------------------------------------------------------------------------

SETTING = Setting("x", "", 1.0, 100.0, Capacity(1, 0.1), Trouble("hung", 20.0, 60.0), 2)


def run_of(chats: Sequence[Chat] = (), asked: Sequence[Asked] = (), moves: Sequence[Move] = ()) -> Run:
    return Run(SETTING, "virtual", 1, chats, asked, moves, [])


def chats_by(by: Callable[[int], str]) -> list[Chat]:
    return [Chat(float(at), at, 0, 0.1, by(at)) for at in range(100)]


@pytest.mark.parametrize(
    ("by", "after"),
    [
        (lambda at: "switch" if not 20 <= at < 75 else "madre", 15.0),
        (
            lambda at: "switch" if not 20 <= at < 75 and at != 78 else "madre",
            19.0,
        ),  # one of the next ten, and all start anew
        (lambda at: "switch" if at < 20 else "madre", math.inf),
        (lambda at: "switch" if at < 20 or at >= 95 else "madre", math.inf),  # too late to know
        (lambda _: "switch", 0.0),
    ],
)
def test_back_is_when_it_lasts(by: Callable[[int], str], after: float) -> None:
    assert figures.back(run_of(chats_by(by))) == after


def test_a_chat_belongs_to_the_trouble_that_it_was_under_way_in() -> None:
    run = run_of([Chat(19.0, 1, 0, 0.5, "switch"), Chat(19.8, 2, 0, 3.0, "madre"), Chat(60.0, 3, 0, 5.1, "madre")])
    assert [[chat.number for chat in figures.within(run, phase)] for phase in figures.phases(run)] == [[1], [2], [3]]
    assert [chat.number for chat in figures.late(run, run.chats)] == [3]


def test_who_came_as_a_crowd_because_the_load_was_held_up_is_no_evidence_against_the_switch() -> None:
    late = {30: 0.3, 31: 0.0, 50: 0.04}
    chats = [Chat(at / 10, at, 0, 0.1, "switch", late=late.get(at, 0.0)) for at in range(100)]
    left = {chat.number for chat in chats} - {chat.number for chat in figures.judged(run_of(chats))}
    assert left == {30, 31, 32, 33, 34, 35, 36, 37}


def test_the_most_within_a_time() -> None:
    assert figures.most_within([0.0, 0.5, 0.55, 0.59, 0.7], 0.1) == 3
    assert figures.most_within([], 0.1) == 0


def test_when_all_are_closed_and_who_opens_again() -> None:
    moves = [Move(21, 0, "closed", "open"), Move(62, 0, "half_open", "closed"), Move(65, 1, "half_open", "closed")]
    assert (figures.closed(run_of(moves=moves)), figures.trips_after_closing(run_of(moves=moves))) == (5.0, 0)
    moves += [Move(70, 0, "closed", "open")]
    assert (figures.closed(run_of(moves=moves)), figures.trips_after_closing(run_of(moves=moves))) == (math.inf, 1)


def test_first_probes_are_those_of_half_open_breakers_that_find_it_back() -> None:
    asked = [Asked(59, 0, 1, probe=True), Asked(61, 0, 2, probe=True), Asked(62, 0, 3, probe=True), Asked(63, 1, 4)]
    assert figures.first_probes(run_of(asked=asked)) == [1.0]


# -- switch and madre --------------------------------------------------------------------------------------------------

STEADY = Capacity(2, 1.0, 0.0)


def test_as_many_at_a_time_as_it_can_and_the_rest_in_turn() -> None:
    switch = Upstream(STEADY, None, 1)
    assert [switch.answer(0.0, chat)[0] for chat in range(5)] == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert [sent.waited for sent in switch.sent] == [0.0, 0.0, 1.0, 1.0, 2.0]
    assert switch.answer(10.0, 6) == (1.0, GOOD)


def test_a_stall_delays_what_is_under_way_and_whoever_comes() -> None:
    switch = Upstream(STEADY, Trouble("stalled", 0.5, 5.5), 1)
    assert [switch.answer(at, chat) for chat, at in enumerate([0.0, 0.2, 1.0, 6.0])] == [
        (6.0, GOOD), (pytest.approx(6.0), GOOD), (6.0, GOOD), (pytest.approx(1.2), GOOD),
    ]  # fmt: skip


def test_what_hangs_is_reset_when_it_is_restarted_and_then_it_has_nothing_to_do() -> None:
    switch = Upstream(STEADY, Trouble("hung", 0.5, 5.5), 1)
    came = [switch.answer(at, chat) for chat, at in enumerate([0.0, 0.0, 0.0, 2.0, 5.5])]
    assert came == [(5.5, RESET), (5.5, RESET), (5.5, RESET), (3.5, RESET), (1.0, GOOD)]


def test_what_is_gone_resets_refuses_and_comes_back_cold() -> None:
    switch = Upstream(STEADY, Trouble("refusing", 0.5, 5.0, cold=3.0, warms=2), 1)
    assert [switch.answer(at, chat) for chat, at in enumerate([0.0, 1.0])] == [(0.5, RESET), (0.0005, REFUSED)]
    assert [switch.answer(at, 9)[0] for at in (6.0, 6.0, 20.0)] == [3.0, 2.0, 1.0]


def test_a_brownout_has_the_shares_that_it_states() -> None:
    switch = Upstream(Capacity(4000, 0.1), Trouble("brownout", 0.0, 1.0, failing=0.2, slow=0.3, slower=6.0), 3)
    came = [switch.answer(0.5, chat) for chat in range(4000)]
    assert fmean(outcome == UNAVAILABLE for _, outcome in came) == pytest.approx(0.2, abs=0.03)
    assert fmean(seconds > 6.0 for seconds, _ in came) == pytest.approx(0.3, abs=0.03)


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_ends_with_1_where_a_claim_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = outage.DRILL._replace(settings=lambda *_: [HUNG])
    monkeypatch.setattr(command, "DRILLS", (small,))
    asked = ["outage", "--way", "virtual", "--seeds", "1", "--seed", "5"]
    assert command.main(asked) == 0
    assert "seed 5," in capsys.readouterr().out
    monkeypatch.setattr(Breaker, "refusal", lambda *_: None)
    assert command.main(asked) == 1
    assert "BROKEN during the outage the switch is asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["drought"], "no drill 'drought'; there are outage, brownout, storm, herd"),
        (["--seeds", "0"], "--seeds 0"),
        (["--seed", "-1"], "--seed -1"),
    ],
)
def test_what_cannot_be_asked(asked: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(asked)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
