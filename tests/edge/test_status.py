"""What the admin port shows of the whole: readiness, who answers and since when, and the snapshot in force."""

from __future__ import annotations

import os
from types import SimpleNamespace

import orjson
import pytest

from sidecar import __version__
from sidecar.core.engine import Engine
from sidecar.core.fact import BreakerMoved, CallEnded, ChatObserved, DormancyHeard, StoreMoved
from sidecar.core.idempotency import Held
from sidecar.core.value import replace
from sidecar.core.vocabulary import Finish, Reason
from sidecar.edge import settings as places
from sidecar.edge.admin.advice import ADVICE
from sidecar.edge.admin.status import Status, Watched
from sidecar.edge.environment import read_environment
from sidecar.edge.settings import Address, resolve
from sidecar.edge.snapshot import InForce
from sidecar.policy.load import parse

PRIMARY = Finish("switch", 1, degraded=False, reason=None)
FALLBACK = Finish("madre", 2, degraded=True, reason=Reason.TIMEOUT)
LEFT = Finish(None, None, degraded=False, reason=None, abandoned=True)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Port:
    def __len__(self):
        return 3

    def under_way(self, kind):
        return len(kind)


def settled(flags=None, **environ):
    environ = {"API_TOKEN": "t", **environ}
    return resolve(flags or {}, read_environment(environ), environ, parse("", "built-in"))


def ended(at, finish):
    return CallEnded(at, 1, 0.5, finish, finish.reason, 1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def status(clock):
    return Status(clock)


def watched(here, engine=None, **parts):
    return Watched(here, InForce(here.snapshot), engine, Port(), **parts)


def test_it_is_not_ready_until_somebody_says_so(status):
    here = settled()
    assert status.readiness(watched(here), here.admin) == ("starting", ())
    status.blocked_by = None
    assert status.readiness(watched(here), here.admin) == (None, ())


def test_what_an_operator_should_know_is_a_note(status):
    here = settled({"admin": "0.0.0.0:9180"}, VX11_AUTH_MODE="off")
    seen = watched(here, problems=lambda: ("p.yaml:1:1: bad", "p.yaml:2:1: worse"))
    assert status.readiness(seen, Address("0.0.0.0", 9999)).notes == (
        "the policy's files cannot be used, the one before stays in force: p.yaml:1:1: bad",
        "the policy's files cannot be used, the one before stays in force: p.yaml:2:1: worse",
        "authentication is off: everybody may chat",
        "the admin port 0.0.0.0:9999 can be reached from other machines",
    )


def test_what_is_said_about_authentication_is_what_holds_now_and_not_what_held_at_the_start(status):
    closed, opened = settled(), settled(VX11_AUTH_MODE="off")
    for before, after, notes in (
        (opened, closed, ()),
        (closed, opened, ("authentication is off: everybody may chat",)),
    ):
        seen = watched(before)
        seen.in_force.current = after.snapshot
        assert status.readiness(seen, before.admin).notes == notes


def test_a_journal_that_only_a_start_can_move_is_said(status):
    here = settled()
    seen = watched(here)
    changed = parse("journal: {dir: /elsewhere}\n", "built-in").policy
    seen.in_force.current = replace(here.snapshot, policy=changed)
    assert status.readiness(seen, here.admin).notes == (
        "what the policy says of the journal has changed: that takes effect at the next start",
    )


def test_that_what_replicas_share_is_away_is_said_until_it_is_back(status, clock):
    here = settled()
    engine = Engine(clock(), here.snapshot.policy, revision="r", source="s", seed=1, emit=lambda _: None)

    def shown():
        seen = watched(here, engine)
        return status.state(seen, here.admin)["shared"], status.readiness(seen, here.admin).notes

    assert shown() == (None, ())
    status(StoreMoved(clock.now, up=False, why="timeout"))
    clock.now += 3.0
    note = "what replicas share is away (timeout): limits and keys hold for each alone"
    assert shown() == ({"store": "away", "why": "timeout", "for_seconds": 3.0}, (note,))
    status(StoreMoved(clock.now, up=True))
    assert shown() == ({"store": "up", "why": None, "for_seconds": 0.0}, ())


def test_readiness_looks_up_no_name(status, monkeypatch):
    here = settled({"admin": "localhost:9180"})
    monkeypatch.setattr(places.socket, "getaddrinfo", None)
    assert status.readiness(watched(here), here.admin).notes == ()


def state(status, clock):
    here = settled()
    engine = Engine(clock(), here.snapshot.policy, revision="r", source="s", seed=1, emit=lambda _: None)
    shown = status.state(watched(here, engine), here.admin)
    return orjson.loads(orjson.dumps(shown))


@pytest.mark.parametrize(
    ("held", "told"), [(None, None), (Held(1, 2, 3000), {"running": 1, "kept": 2, "bytes": 3000})], ids=["off", "on"]
)
def test_how_much_is_remembered_of_chats_with_keys_is_told(status, clock, held, told):
    here = settled()
    engine = Engine(clock(), here.snapshot.policy, revision="r", source="s", seed=1, emit=lambda _: None)
    assert status.state(watched(here, engine, keys=lambda: held), here.admin)["idempotency"] == told


def test_the_state_can_be_written_and_holds_what_is_asked_first(status, clock):
    clock.now = 107.26
    shown = state(status, clock)
    targets = shown.pop("targets")
    assert list(targets) == ["switch", "madre"]
    policy = shown.pop("policy")
    assert policy.pop("revision")
    assert policy == {
        "source": "built-in",
        "mode": "enforce",
        "deadline_seconds": 4.75,
        "latency_objective_seconds": 3.0,
    }
    assert shown == {
        "status": "starting",
        "answering": None,
        "connections": 3,
        "under_way": {"chat": 4, "relay": 5, "tunnel": 6},
        "gateway": "127.0.0.1:8010",
        "overrides": [],
        "idempotency": None,
        "shared": None,
        "chaos": None,
        "breaker_moves": {},
        "policy_problems": [],
        "shadow": None,
        "notes": [],
        "observed": None,
        "destinations": {"switch": "http://127.0.0.1:8002", "madre": "http://127.0.0.1:8001"},
        "log_level": "info",
        "version": __version__,
        "pid": os.getpid(),
        "up_seconds": 7.3,
    }


def test_the_state_holds_no_token(status, clock):
    here = settled({}, API_TOKEN="s3cret", VX11_SIDECAR_ADMIN_TOKEN="s3cret")
    engine = SimpleNamespace(view=lambda _: {})
    assert b"s3cret" not in orjson.dumps(status.state(watched(here, engine), here.admin))


def test_once_it_serves_the_state_says_so(status, clock):
    status.blocked_by = None
    assert state(status, clock)["status"] == "serving"


def test_the_last_answer_tells_who_answers(status, clock):
    status(ended(98.0, FALLBACK))
    status(ended(99.0, PRIMARY))
    assert state(status, clock)["answering"] == {
        "provider": "switch", "degraded": False, "reason": None, "first_reason": None, "seconds_ago": 1.0, "degraded_for_seconds": None, "means": None, "do": None,
    }  # fmt: skip


def test_degraded_counts_from_the_first_degraded_answer_on(status, clock):
    for at in (90.0, 95.0, 99.5):
        status(ended(at, FALLBACK))
    said = ADVICE[Reason.TIMEOUT]
    assert state(status, clock)["answering"] == {
        "provider": "madre", "degraded": True, "reason": "timeout", "first_reason": "timeout", "seconds_ago": 0.5, "degraded_for_seconds": 10.0,
        "means": said.means, "do": said.do,
    }  # fmt: skip


def test_why_the_primary_did_not_answer_comes_before_what_became_of_the_next(status, clock):
    waiting = Finish("madre", 2, degraded=True, reason=Reason.WAITING)
    status(CallEnded(99.0, 1, 0.5, waiting, Reason.OPEN, 2))
    assert state(status, clock)["answering"]["means"] == ADVICE[Reason.OPEN].means


def test_the_last_move_of_a_breaker_is_told_with_what_caused_it(status, clock):
    status(BreakerMoved(90.0, "switch", "closed", "open", "consecutive", 5.0))
    status(BreakerMoved(95.5, "switch", "open", "half_open", "timer", None))
    assert state(status, clock)["breaker_moves"] == {
        "switch": {"before": "open", "after": "half_open", "why": "timer", "seconds_ago": 4.5}
    }


def test_the_state_holds_what_is_noted_and_problems_of_the_policy_once(status):
    here = settled({"admin": "0.0.0.0:9180"}, VX11_AUTH_MODE="off")
    seen = watched(here, SimpleNamespace(view=lambda _: {}), problems=lambda: ("p.yaml:1:1: bad",))
    shown = status.state(seen, Address("0.0.0.0", 9999))
    assert shown["policy_problems"] == ("p.yaml:1:1: bad",)
    assert shown["notes"] == (
        "authentication is off: everybody may chat",
        "the admin port 0.0.0.0:9999 can be reached from other machines",
    )


def test_a_good_answer_ends_the_count_and_the_next_bad_one_begins_anew(status, clock):
    for at, finish in ((90.0, FALLBACK), (95.0, PRIMARY), (99.0, FALLBACK)):
        status(ended(at, finish))
    assert state(status, clock)["answering"]["degraded_for_seconds"] == 1.0


def test_a_client_that_left_and_other_facts_say_nothing_about_who_answers(status, clock):
    status(ended(99.0, LEFT))
    status(DormancyHeard(99.0, None))
    assert state(status, clock)["answering"] is None


def test_what_is_in_force_is_swapped_whole():
    one, other = settled().snapshot, settled().snapshot
    holder = InForce(one)
    assert holder.current is one
    holder.current = other
    assert holder.current is other


def test_under_mode_shadow_it_is_noted_who_answers_and_what_was_seen_is_in_the_state(status, clock):
    here = settled()
    seen = watched(here, SimpleNamespace(view=lambda _: {}))
    seen.in_force.current = replace(here.snapshot, policy=parse("mode: shadow\n", "built-in").policy)
    note = "mode shadow: the gateway answers chat, the sidecar only looks on"
    assert status.readiness(seen, here.admin).notes == (note,)
    status(ChatObserved(99.0, "chat", "pass", "degraded", 200, 0.5, late=False))
    shown = status.state(seen, here.admin)
    assert shown["policy"]["mode"] == "shadow"
    assert shown["observed"]["gateway"] == {"degraded": 1}
    assert shown["answering"] is None
