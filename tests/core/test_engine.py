"""The whole core on generated worlds: a heap, virtual time, several calls at once, and what must hold whatever happens."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from script import BEGIN, GOOD, REFUSED, SILENT, WAITING, WOKE, World, policy, status, targets

from sidecar.core.breaker import State
from sidecar.core.engine import Engine, Gauges
from sidecar.core.fact import (
    AttemptEnded,
    AttemptStarted,
    BreakerMoved,
    CallBegan,
    CallEnded,
    DormancyHeard,
    EventHeard,
    FellBack,
    HealthMoved,
    Overridden,
    PolicyAdopted,
    RateLimited,
    Refused,
    Retried,
)
from sidecar.core.scene import Call
from sidecar.core.vocabulary import (
    ANSWERS,
    Abandoned,
    Answered,
    Attempt,
    Backoff,
    ErrorKind,
    Finish,
    Outcome,
    Override,
    Queue,
    Verdict,
    Woke,
)

EPSILON = 1e-9
RATIO, BURST = 0.2, 2.0  # of every policy below, so that one bound holds whatever is adopted
BUDGET = {"ratio": "20%", "burst": BURST}

POLICIES = [
    policy(data)
    for data in (
        {"retry_budget": BUDGET},
        {
            "retry_budget": BUDGET,
            "retry": {"max_attempts": 4, "only_if_unsent": False, "on_timeout": True},
            "limiter": {"max_concurrent": 1, "queue": 2, "queue_timeout": "2s"},
            "breaker": {
                "consecutive": 0,
                "open": {"base": "200ms", "max": "400ms"},
                "half_open": {"permits": 2, "close_after": 1},
            },
            "timeouts": {"attempt": "800ms"},
        },
        {
            "retry_budget": BUDGET,
            "deadline": {"client": "2s"},
            "targets": [
                {"name": "madre"},
                {"name": "switch", "effects": "dedup", "reserve": "300ms"},
                {"name": "local"},
            ],
            "retry": {"max_attempts": 10},
            "breaker": {
                "consecutive": 2,
                "open": {"base": "500ms"},
                "window": {"type": "time", "duration": "5s"},
                "min_calls": 2,
            },
            "limiter": {"max_concurrent": 2, "queue": 1, "queue_timeout": 0},
            "dormant": {"mode": "obey"},
        },
        {
            "retry_budget": BUDGET,
            "deadline": {"client": "20s"},
            "targets": [{"name": "switch", "effects": "none"}],
            "fallback": {"local": "error", "on": ["failure"]},
            "breaker": {"slow_call": {"duration": "500ms"}},
            "limiter": {"max_concurrent": 1, "queue": 5, "queue_timeout": "10s"},
            "dormant": {"mode": "ignore"},
        },
    )
]
OUTCOMES = [
    GOOD,
    GOOD,
    WAITING,
    REFUSED,
    REFUSED,
    SILENT,
    Outcome(error=ErrorKind.DNS),
    Outcome(error=ErrorKind.RESET),
    Outcome(error=ErrorKind.NOT_JSON),
    Outcome(status=200, body={"status": "partial"}, text=True),
    status(400),
    status(401),
    status(500),
    status(503),
    status(503, retry_after=1.0),
    status(429, retry_after=30.0),
]
POWER = [None, frozenset({"madre"}), frozenset({"madre", "switch"})]
SECONDS = st.sampled_from([0.0, 0.001, 0.05, 0.1, 0.3, 0.5, 1.0, 1.5, 3.0, 3.2, 6.0])

CALLS = st.tuples(
    SECONDS,  # since the call before
    st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.1, 0.01]),  # share of the full patience
    st.one_of(st.none(), st.none(), SECONDS),  # when the client leaves
    st.lists(
        st.tuples(st.sampled_from(OUTCOMES), SECONDS), min_size=1, max_size=6
    ),  # answers in turn, the last one again and again
)
EVENTS = st.tuples(
    SECONDS,
    st.one_of(st.sampled_from([("adopt", p) for p in POLICIES]), st.sampled_from([("power", p) for p in POWER])),
)


class Run:
    """One world driven to its end. Timeouts are honoured to the float; everything else is as drawn."""

    def __init__(self, seed, first, calls, events) -> None:
        self.facts: list = []
        self.now = 0.0
        self.engine = Engine(0.0, first, revision="0", source="test", seed=seed, emit=self.facts.append)
        self.patience: dict[int, float] = {}
        self.began: dict[int, float] = {}
        self.attempts: list[tuple[int, float, Attempt]] = []
        self.finished: list[tuple[int, float, Finish]] = []
        self.woken: Counter = Counter()
        self._heap: list = []
        self._order = count()
        self._plans: dict = {}
        self._waiting_for: dict[
            int, int
        ] = {}  # call -> number of the step it waits in: what is due for an older one is stale
        self._answers = {}
        at = 0.0
        for number, (gap, share, leaves, answers) in enumerate(calls, 1):
            at += gap
            self._answers[number] = iter([*answers, *[answers[-1]] * 50])
            self._at(at, self._begin, number, share)
            if leaves is not None:
                self._at(at + leaves, self._leave, number)
        at = 0.0
        for number, (gap, (what, value)) in enumerate(events, 1):
            at += gap
            self._at(at, self._adopt if what == "adopt" else self._power, value, str(number))
        while self._heap:
            self.now, _, what, args = heappop(self._heap)
            what(*args)

    def _at(self, when: float, what, *args) -> None:
        heappush(self._heap, (when, next(self._order), what, args))

    def _begin(self, number: int, share: float) -> None:
        deadline = self.engine.scene.policy.deadline
        self.patience[number] = patience = (deadline.client - deadline.margin) * share
        self.began[number] = self.now
        self._plans[number] = plan = self.engine.begin(self.now, Call(number, patience))
        self._do(number, plan.start())

    def _leave(self, number: int) -> None:
        self._tell(number, self._waiting_for.get(number), Abandoned)

    def _adopt(self, new, revision: str) -> None:
        self.engine.adopt(self.now, new, revision=revision, source="test")

    def _power(self, active, _) -> None:
        self.engine.hear_dormancy(self.now, active)

    def _tell(self, number: int, waiting_for: int | None, event, *rest) -> None:
        if waiting_for is None or self._waiting_for.get(number) != waiting_for:
            return  # that step is over
        self._do(number, self._plans[number].send(event(self.now, *rest)))

    def _do(self, number: int, step) -> None:
        mark = self._waiting_for[number] = next(self._order)
        match step:
            case Finish():
                del self._waiting_for[number]
                self.finished.append((number, self.now, step))
            case Attempt():
                self.attempts.append((number, self.now, step))
                outcome, seconds = next(self._answers[number])
                if outcome is SILENT or seconds >= step.timeout:
                    outcome, seconds = SILENT, step.timeout
                self._at(self.now + seconds, self._tell, number, mark, Answered, outcome)
            case Backoff(_, delay):
                self._at(self.now + delay, self._tell, number, mark, Woke)
            case Queue(_, ticket, timeout):
                assert not ticket.granted
                ticket.wake = lambda: (self.woken.update([mark]), self._at(self.now, self._tell, number, mark, Woke))
                self._at(self.now + timeout, self._tell, number, mark, Woke)

    def heard(self, kind: type) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]


WORLDS = st.builds(
    Run,
    st.integers(0, 2**32),
    st.sampled_from(POLICIES),
    st.lists(CALLS, min_size=1, max_size=12),
    st.lists(EVENTS, max_size=4),
)


def check_every_call_ends_exactly_once_and_in_time(run: Run) -> None:
    calls = sorted(run.began)
    assert sorted(number for number, _, _ in run.finished) == calls
    assert sorted(fact.call for fact in run.heard(CallBegan)) == calls
    assert sorted(fact.call for fact in run.heard(CallEnded)) == calls
    ended = {fact.call: fact for fact in run.heard(CallEnded)}
    for number, at, finish in run.finished:
        assert at <= run.began[number] + run.patience[number] + EPSILON
        assert (ended[number].finish, ended[number].at) == (finish, at)
        assert ended[number].seconds == at - run.began[number]


def check_no_attempt_begins_late_or_may_end_late(run: Run) -> None:
    for number, at, step in run.attempts:
        deadline = run.began[number] + run.patience[number]
        assert at < deadline
        assert step.timeout > 0
        assert at + step.timeout <= deadline + EPSILON


def check_nothing_is_held_in_the_end(run: Run) -> None:
    for machines in run.engine._machines.values():
        assert machines.limiter.in_flight == machines.limiter.queued == 0
        assert machines.breaker.outstanding(run.now) == 0
        assert not machines.breaker._out
        assert 0 <= machines.budget.balance(run.now) <= BURST
    assert not run.woken or max(run.woken.values()) == 1


def check_attempts_are_bounded_by_calls(run: Run) -> None:
    for target in ("switch", "madre"):
        calls = {number for number, _, step in run.attempts if step.target == target}
        attempts = sum(step.target == target for _, _, step in run.attempts)
        assert attempts <= len(calls) * (1 + RATIO) + BURST + EPSILON


def check_facts_tell_one_story(run: Run) -> None:
    numbers = [fact.call for fact in run.heard(EventHeard)]
    assert set(numbers) <= set(run.began)
    for number in run.began:
        mine = [fact for fact in run.facts if getattr(fact, "call", None) == number]
        assert isinstance(mine[0], CallBegan)
        assert isinstance(mine[-1], CallEnded)
        assert [fact.at for fact in mine if isinstance(fact, EventHeard) is False] == sorted(
            fact.at for fact in mine if isinstance(fact, EventHeard) is False
        )
        started = [fact for fact in mine if isinstance(fact, AttemptStarted)]
        finished = [fact for fact in mine if isinstance(fact, AttemptEnded)]
        assert [f.number for f in started] == [f.number for f in finished] == list(range(1, len(started) + 1))
        assert [(f.target, f.binding) for f in started] == [(f.target, f.binding) for f in finished]
        end = mine[-1]
        assert end.attempts == len(started)
        check_the_ladder(mine, end)
        check_the_finish(end, finished, mine)
    moves: dict[str, str] = {}
    for move in run.heard(BreakerMoved):
        assert moves.get(move.target, "closed") == move.before != move.after
        assert (move.before, move.after) != ("closed", "half_open")
        moves[move.target] = move.after
    for name, machines in run.engine._machines.items():
        assert machines.breaker.state.value == moves.get(name, "closed")


def check_the_ladder(mine: list, end: CallEnded) -> None:
    """Each target is left at most once, nobody goes back up, and a reason to leave is told first."""
    left = [fact.target for fact in mine if isinstance(fact, FellBack)]
    assert len(set(left)) == len(left)
    asked = [fact.target for fact in mine if isinstance(fact, AttemptStarted | Refused)]
    order = list(dict.fromkeys(asked))
    assert left == order[: len(left)]
    assert asked == sorted(asked, key=order.index)
    reasons = [fact.reason for fact in mine if isinstance(fact, FellBack)]
    assert end.first_reason == (reasons[0] if reasons else None)


def check_the_finish(end: CallEnded, attempts: list[AttemptEnded], mine: list) -> None:
    finish = end.finish
    assert finish.degraded == (finish.reason is not None)
    if finish.abandoned:
        assert (finish.provider, finish.attempt, finish.degraded) == (None, None, False)
    elif finish.attempt is None:
        assert finish.provider in ("local", None)
        assert not any(fact.verdict in ANSWERS for fact in attempts)
        assert finish.reason == end.first_reason
    else:
        assert attempts[-1].number == finish.attempt
        assert attempts[-1].target == finish.provider
        assert attempts[-1].verdict in ANSWERS
        assert [fact.verdict in ANSWERS for fact in attempts].count(True) == 1
        assert (finish.reason == "waiting") == (attempts[-1].verdict is Verdict.DEGRADED)
        assert finish.degraded or not any(isinstance(fact, FellBack) for fact in mine)
    if any(isinstance(fact, EventHeard) and isinstance(fact.event, Abandoned) for fact in mine):
        assert finish.abandoned
    retried = sum(isinstance(fact, Retried) for fact in mine)
    asked = {fact.target for fact in attempts}
    assert len(attempts) <= len(asked) + retried


@settings(max_examples=400)
@given(WORLDS)
def test_whatever_happens_every_promise_is_kept(run):
    check_every_call_ends_exactly_once_and_in_time(run)
    check_no_attempt_begins_late_or_may_end_late(run)
    check_nothing_is_held_in_the_end(run)
    check_attempts_are_bounded_by_calls(run)
    check_facts_tell_one_story(run)


@settings(max_examples=50)
@given(
    st.integers(0, 2**32),
    st.sampled_from(POLICIES),
    st.lists(CALLS, min_size=1, max_size=8),
    st.lists(EVENTS, max_size=3),
)
def test_the_same_seed_in_the_same_world_tells_the_same_facts(seed, first, calls, events):
    assert Run(seed, first, calls, events).facts == Run(seed, first, calls, events).facts


@settings(max_examples=50)
@given(
    st.integers(0, 2**32),
    st.sampled_from(POLICIES),
    st.lists(CALLS, min_size=1, max_size=8),
    st.lists(EVENTS, max_size=3),
)
def test_the_inputs_among_the_facts_are_enough_to_repeat_the_rest(seed, first, calls, events):
    told = Run(seed, first, calls, events).facts
    again: list = []
    engine = Engine(0.0, first, revision="0", source="test", seed=seed, emit=again.append)
    plans = {}
    for fact in told[1:]:
        match fact:
            case CallBegan(at, number, patience, correlation_id, _):
                plans[number] = engine.begin(at, Call(number, patience, correlation_id))
                plans[number].start()
            case EventHeard(_, number, event):
                plans[number].send(event)
            case PolicyAdopted(at, revision, source, adopted):
                engine.adopt(at, adopted, revision=revision, source=source)
            case DormancyHeard(at, active):
                engine.hear_dormancy(at, active)
    assert again == told


def test_storms_of_clients_that_leave_at_every_kind_of_step_leave_nothing_behind():
    """Thirty calls into one slot and a short queue, each leaving a little later than the one before."""
    calls = [(0.0, 1.0, n / 20, [(REFUSED, 0.03), (GOOD, 0.3)]) for n in range(30)]
    run = Run(3, POLICIES[1], calls, [])
    steps_left = Counter(type(fact).__name__ for fact in run.facts)
    assert steps_left["CallEnded"] == 30
    assert sum(finish.abandoned for _, _, finish in run.finished) > 5
    check_nothing_is_held_in_the_end(run)


def test_an_outage_costs_few_attempts_and_recovery_is_found_within_the_longest_open_time():
    down = [(1.0, 1.0, None, [(status(500), 0.1)]) for _ in range(120)]
    up = [(1.0, 1.0, None, [(GOOD, 0.1)]) for _ in range(60)]
    run = Run(1, POLICIES[0], [*down, *up], [])
    asked = [at for _, at, step in run.attempts if step.target == "switch" and at < 121]
    assert len(asked) < 25
    by_switch = [at for _, at, finish in run.finished if finish.provider == "switch"]
    assert by_switch[0] < 121 + 15 + 2
    assert run.engine._machines["switch"].breaker.state is State.CLOSED


# -- the engine itself ------------------------------------------------------------------------------------------


def test_adopting_tells_who_is_in_force():
    w = World()
    w.adopt(3.0, policy())
    assert w.heard(PolicyAdopted) == [
        PolicyAdopted(0.0, "r1", "test", policy()),
        PolicyAdopted(3.0, "r2", "test", policy()),
    ]
    assert w.engine.revision == "r2"
    w.call(session="a").tell(4.0, BEGIN)
    assert w.heard(CallBegan) == [CallBegan(4.0, 1, 4.75, "call-1", "r2", ("switch", "madre"), "a")]


def test_the_numbers_of_a_new_policy_reach_every_machine():
    w = World()
    assert w.machines().breaker.admit(0.0).expires == 6.0  # the client's patience and a second
    w.adopt(
        1.0,
        policy(
            deadline={"client": "9s"},
            breaker={"consecutive": 1},
            retry_budget={"burst": 1.5},
            limiter={"max_concurrent": 1, "queue": 0},
        ),
    )
    machines = w.machines()
    assert machines.breaker.admit(1.0).expires == 11.0
    assert machines.breaker.view(1.0)["failures_in_row"] == [0, 1]
    assert machines.budget.balance(1.0) == 1.5
    assert machines.limiter.enter(1.0).granted
    assert machines.limiter.enter(1.0) is None


def test_a_target_that_comes_back_is_remembered():
    w = World()
    w.trip(0.0)
    w.adopt(1.0, policy(targets=[{"name": "madre"}]))
    w.play((1.0, BEGIN, "madre #1 within 4.75 (deadline)"))
    w.adopt(2.0, policy())
    assert w.machines().breaker.state is State.OPEN


def test_a_power_state_means_nothing_where_the_switch_is_no_target():
    w = World(policy(targets=[{"name": "madre"}]))
    for state in POWER[1:]:
        w.engine.hear_dormancy(0.0, state)
    assert w.heard(DormancyHeard) == [DormancyHeard(0.0, POWER[1]), DormancyHeard(0.0, POWER[2])]
    assert not w.heard(BreakerMoved)


def test_a_window_that_opens_before_a_breaker_that_is_not_open_moves_nothing():
    w = World()
    for state in POWER[1:]:
        w.engine.hear_dormancy(0.0, state)
    assert not w.heard(BreakerMoved)


def probed(*names: str) -> World:
    """Where these are probed, and all their probes failed."""
    w = World(only_probes(*names))
    for name in names:
        for _ in range(3):
            w.engine.hear_health(1.0, name, REFUSED, busy=False, seconds=0.1)
    return w


def only_probes(*names: str):
    on = {"health": {"mode": "probe"}}
    return policy(targets=targets(*(on if name in names else None for name in ("switch", "madre"))))


def test_a_policy_that_probes_one_target_less_forgets_what_probes_said_of_that_one_alone():
    w = probed("switch", "madre")
    w.adopt(2.0, only_probes("switch"))
    assert [(fact.at, fact.target, fact.why) for fact in w.heard(HealthMoved)[2:]] == [(2.0, "madre", "off")]
    assert w.engine.scene.shut == {"switch"}  # who is in there costs every call a look
    w.play((2.0, BEGIN, "madre #1 within 4.75 (deadline)"))


def test_a_window_that_opens_forgets_at_that_moment_what_probes_said():
    w = probed("switch")
    for now, state in ((2.0, POWER[1]), (3.0, POWER[2])):
        w.engine.hear_dormancy(now, state)
    assert [(fact.at, fact.target, fact.why) for fact in w.heard(HealthMoved)[1:]] == [(3.0, "switch", "window_opened")]
    assert w.engine.scene.shut == set()


def test_the_rate_guard_tells_whom_it_turned_away():
    w = World()
    assert [w.engine.admit(0.0, b"s", anonymous=False) for _ in range(11)] == [None] * 10 + [60.0]
    assert [w.engine.admit(0.0, b"p", anonymous=True) for _ in range(11)] == [None] * 10 + [1.0]
    assert w.heard(RateLimited) == [RateLimited(0.0, 60.0, anonymous=False), RateLimited(0.0, 1.0, anonymous=True)]


def test_the_rate_guard_takes_the_numbers_of_a_new_policy():
    w = World()
    assert w.engine.admit(0.0, b"s", anonymous=False) is None
    w.adopt(0.0, policy(guards={"rate_limit": "1 per 60s", "max_sessions": 1}))
    assert w.engine.admit(1.0, b"s", anonymous=False) == 59.0
    assert w.engine.admit(1.0, b"t", anonymous=False) is None
    assert w.engine.admit(1.0, b"s", anonymous=False) is None  # forgotten for the sake of t


def test_what_somebody_else_admitted_is_counted_by_the_limit_of_its_kind():
    w = World(policy(guards={"rate_limit": "1 per 60s", "anonymous_rate_limit": "2 per 60s"}))
    w.engine.note(0.5, b"s", anonymous=False)
    w.engine.note(0.5, b"p", anonymous=True)
    assert w.engine.admit(10.5, b"s", anonymous=False) == 50.0
    assert w.engine.admit(10.5, b"p", anonymous=True) is None
    assert w.engine.admit(20.5, b"p", anonymous=True) == 40.0


@pytest.mark.parametrize("anonymous", [False, True])
def test_what_somebody_else_admitted_is_counted_as_often_as_the_limit_of_its_kind_allows(anonymous):
    mine, other = ("rate_limit", "anonymous_rate_limit")[:: -1 if anonymous else 1]
    w = World(policy(guards={mine: "2 per 60s", other: "1 per 60s"}))
    for now in (0.0, 1.0):
        w.engine.note(now, b"k", anonymous=anonymous)
    assert w.engine.admit(10.0, b"k", anonymous=anonymous) == 50.0


def test_replicas_draw_the_open_times_of_one_target_apart():
    opened = set()
    for seed in range(8):
        w = World(seed=seed)
        w.trip(0.0)
        opened.add(w.machines().breaker.until)
    assert len(opened) == 8


def test_targets_draw_their_open_times_apart():
    w = World()
    w.trip(0.0, "switch")
    w.trip(0.0, "madre")
    assert w.machines("switch").breaker.until != w.machines("madre").breaker.until


def test_the_figures_of_every_target_of_the_ladder_can_be_read():
    w = World()
    w.call().tell(0.0, BEGIN)
    assert w.engine.gauges(0.0) == {
        "switch": Gauges(1, 0, 0, 0, 0, 0, balance=3.0, slots=4, baseline=None, drops=0),
        "madre": Gauges(0, 0, 0, 0, 0, 0, balance=3.0, slots=2, baseline=None, drops=0),
    }
    w.adopt(0.0, policy(targets=[{"name": "madre"}]))
    assert list(w.engine.gauges(0.0)) == ["madre"]


def test_the_window_is_told_in_shares_and_the_row_in_failures():
    w = World(policy(limiter={"max_concurrent": 1, "queue": 1}, breaker={"consecutive": 0}))
    machines = w.machines()
    for seconds, verdict in (
        (0.0, Verdict.SUCCESS),
        (4.0, Verdict.SUCCESS),
        (0.0, Verdict.FATAL),
        (4.0, Verdict.FATAL),
    ):
        machines.breaker.settle(seconds, machines.breaker.admit(0.0), verdict)
    machines.limiter.enter(4.0)
    machines.limiter.enter(4.0)
    machines.budget.withdraw(4.0)
    assert w.engine.gauges(4.0)["switch"] == Gauges(1, 1, 4, 0.5, 0.5, 2, balance=2.0, slots=1, baseline=None, drops=0)


def test_what_a_window_of_time_has_forgotten_is_not_told():
    w = World(policy(breaker={"window": {"type": "time", "duration": "10s"}}))
    breaker = w.machines().breaker
    breaker.settle(1.0, breaker.admit(1.0), Verdict.FATAL)
    assert [w.engine.gauges(now)["switch"].calls for now in (2.0, 13.0)] == [1, 0]


def test_of_one_call_the_window_is_told_as_all():
    w = World()
    breaker = w.machines().breaker
    breaker.settle(0.5, breaker.admit(0.0), Verdict.FATAL)
    assert w.engine.gauges(1.0)["switch"].failure_ratio == 1.0


def test_a_gradient_and_health_are_told_where_there_are_any():
    w = World(policy(health={"mode": "probe"}, limiter={"adaptive": "gradient"}))
    for _ in range(2):
        w.engine.hear_health(1.0, "switch", Outcome(status=200), busy=False, seconds=0.1)
    gradient = w.machines().limiter.gradient
    gradient.baseline, gradient.drops = 0.25, 3
    told = w.engine.gauges(2.0)["switch"]
    assert (told.baseline, told.drops, told.health) == (0.25, 3, "up")
    assert w.engine.gauges(600.0)["switch"].health == "unknown"  # nobody has heard of it since


def test_an_override_is_told_at_its_moment():
    w = World()
    w.engine.override(2.5, "switch", Override.FORCED_OPEN)
    w.engine.override(4.5, "switch", None)
    assert [fact.at for fact in w.facts if isinstance(fact, Overridden | BreakerMoved)] == [2.5, 2.5, 4.5, 4.5]


def test_the_view_shows_every_machine_of_every_target():
    w = World()
    w.engine.hear_dormancy(0.0, POWER[1])
    w.call().tell(0.0, BEGIN)
    for tenths in range(20):
        w.machines("madre").latency.observe(tenths / 10)
    w.machines("madre").budget.withdraw(0.0)
    w.machines("madre").budget.withdraw(0.0)
    for _ in range(3):
        w.machines("madre").budget.deposit(0.0)
    view = w.engine.view(0.5)
    assert list(view) == ["switch", "madre"]
    switch = view["switch"]
    assert switch.pop("breaker")["permits_out"] == 1
    assert switch == {
        "limiter": {"in_flight": [1, 4], "queued": [0, 8]},
        "retry_budget": [3.0, 3.0],
        "latency_p95_seconds": None,
        "reserve_seconds": 1.5,
        "dormant": True,
        "off": False,
        "health": None,
    }
    madre = view["madre"]
    assert (madre["dormant"], madre["latency_p95_seconds"], madre["reserve_seconds"]) == (False, 1.8, 1.5)
    assert madre["retry_budget"] == [1.6, 3.0]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_plan_holds_slot_and_permit_exactly_as_long_as_its_attempt(leaves):
    w = World()
    call, machines = w.call(), w.machines()
    held = lambda: (machines.limiter.in_flight, machines.breaker.outstanding(0.1))  # noqa: E731
    call.tell(0.0, BEGIN)
    assert held() == (1, 1)
    call.tell(0.01, REFUSED)
    assert held() == (0, 0)  # none of it while backing off
    call.tell(0.02, WOKE)
    assert held() == (1, 1)
    call.tell(0.03, "the client left" if leaves else GOOD)
    assert held() == (0, 0)
