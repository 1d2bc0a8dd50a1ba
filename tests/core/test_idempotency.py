"""Keys of chats: literal scripts, then any life at all against a naive model, and what an answer really takes."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct

from sidecar.core.idempotency import AROUND, Claim, Held, Keys, Known
from sidecar.policy.model import Idempotency


class Reply(Struct, frozen=True):
    """As the edge has it."""

    status: int
    body: bytes
    fields: dict[str, str]


A, B, BODY, OTHER = b"a", b"b", b"body", b"other"


def keys(**stated) -> Keys[str]:
    return Keys(policy(**stated))


def policy(**stated) -> Idempotency:
    return Idempotency(**{"mode": "on", "ttl": "10s", "max": 2, "repeats": "100 per 1s", **stated})


def kept(
    memory: Keys[str], now: float, key: bytes, answer: str, *, size: int = 10, degraded: bool = False
) -> int | None:
    """A chat that begins and ends at ``now``; what the memory says of keeping its answer."""
    return memory.settle(now, memory.claim(now, key, BODY, now + 5), answer, size, degraded=degraded)


# -- scripts ------------------------------------------------------------------------------------------------------------


def test_a_free_key_is_claimed_runs_and_is_answered_again_for_its_time_and_not_a_moment_longer():
    memory = keys()
    assert memory.meet(0.0, A, BODY) is None
    claim = memory.claim(0.0, A, BODY, until=5.0)
    assert memory.meet(1.0, A, BODY) == Known("running", retry_after=4.0)
    assert memory.settle(2.0, claim, "hola", 4, degraded=False) == 0
    assert memory.meet(2.0, A, BODY) == Known("replayed", "hola")
    assert memory.meet(11.999, A, BODY) == Known("replayed", "hola")
    assert memory.meet(12.0, A, BODY) is None
    assert memory.held(12.0) == Held(0, 0, 0)


def test_another_body_is_a_mismatch_while_it_runs_and_when_it_is_kept():
    memory = keys()
    claim = memory.claim(0.0, A, BODY, until=5.0)
    assert memory.meet(1.0, A, OTHER) == Known("mismatch")
    memory.settle(2.0, claim, "hola", 4, degraded=False)
    assert memory.meet(3.0, A, OTHER) == Known("mismatch")
    assert memory.meet(3.0, A, BODY) == Known("replayed", "hola")


def test_a_released_key_is_free_for_any_body_at_once():
    memory = keys()
    memory.release(memory.claim(0.0, A, BODY, until=5.0))
    assert memory.meet(0.0, A, OTHER) is None
    assert memory.claim(0.0, A, OTHER, until=5.0) is not None


def test_a_claim_ends_once_and_one_of_another_life_of_the_key_ends_nothing():
    memory = keys()
    first = memory.claim(0.0, A, BODY, until=5.0)
    memory.release(first)
    second = memory.claim(1.0, A, BODY, until=6.0)
    for ended in (lambda: memory.release(first), lambda: memory.settle(1.0, first, "x", 1, degraded=False)):
        with pytest.raises(KeyError, match="this claim has ended"):
            ended()
    assert memory.meet(2.0, A, BODY) == Known("running", retry_after=4.0)
    memory.release(second)


def test_a_key_that_is_not_free_cannot_be_claimed():
    memory = keys()
    claim = memory.claim(0.0, A, BODY, until=5.0)
    assert memory.claim(0.0, A, BODY, until=5.0) is None
    memory.settle(0.0, claim, "x", 1, degraded=False)
    assert memory.claim(0.0, A, OTHER, until=5.0) is None
    assert memory.meet(0.0, A, BODY) == Known("replayed", "x")


def test_one_that_takes_longer_than_it_should_is_still_running():
    memory = keys()
    memory.claim(0.0, A, BODY, until=5.0)
    assert memory.meet(1000.0, A, BODY) == Known("running", retry_after=0.0)


def test_the_answer_kept_longest_goes_first_and_what_runs_never():
    memory = keys(max=2)
    running = memory.claim(0.0, b"running", BODY, until=5.0)
    assert [kept(memory, now, key, "x") for now, key in ((1.0, A), (2.0, B), (3.0, b"c"))] == [0, 0, 1]
    assert [memory.meet(3.0, key, BODY) is None for key in (A, B, b"c")] == [True, False, False]
    assert memory.held(3.0)[:2] == (1, 2)
    memory.settle(4.0, running, "late", 1, degraded=False)
    assert memory.meet(4.0, B, BODY) is None


def test_a_replay_does_not_make_an_answer_younger():
    memory = keys(max=2)
    kept(memory, 0.0, A, "a")
    kept(memory, 1.0, B, "b")
    memory.meet(2.0, A, BODY)
    kept(memory, 3.0, b"c", "c")
    assert memory.meet(3.0, A, BODY) is None


def test_beyond_so_many_running_a_chat_is_not_remembered_and_nobody_is_forgotten_for_it():
    memory = keys(max=1)
    running = memory.claim(0.0, A, BODY, until=5.0)
    assert memory.meet(0.0, B, BODY) is None
    assert memory.claim(0.0, B, BODY, until=5.0) is None
    memory.release(running)
    assert memory.claim(0.0, B, BODY, until=5.0) is not None


def test_bytes_are_bounded_and_an_answer_that_is_larger_alone_is_not_kept_and_drives_nobody_out():
    memory = keys(max=100, max_size="10KiB")
    assert [kept(memory, 0.0, bytes([n]), "x", size=2048 - AROUND) for n in range(5)] == [0] * 5
    assert memory.held(0.0) == Held(0, 5, 10240)
    assert kept(memory, 0.0, A, "x", size=10241 - AROUND) is None
    assert memory.meet(0.0, A, BODY) is None
    assert memory.held(0.0) == Held(0, 5, 10240)
    assert kept(memory, 1.0, A, "x", size=2049 - AROUND) == 2
    assert kept(memory, 2.0, B, "x", size=10240 - AROUND) == 4
    assert memory.held(2.0) == Held(0, 1, 10240)


def test_a_degraded_answer_is_not_kept_unless_the_policy_says_how_long():
    memory = keys()
    assert kept(memory, 0.0, A, "sorry", degraded=True) is None
    assert memory.meet(0.0, A, BODY) is None
    memory.adopt(0.0, policy(degraded_ttl="3s"))
    assert kept(memory, 0.0, A, "sorry", degraded=True) == 0
    assert memory.meet(2.999, A, BODY) == Known("replayed", "sorry")
    assert memory.meet(3.0, A, BODY) is None


def test_of_whole_and_degraded_answers_the_one_kept_longest_goes_first():
    memory = keys(max=2, degraded_ttl="10s")
    kept(memory, 0.0, A, "a")
    kept(memory, 1.0, B, "b", degraded=True)
    kept(memory, 2.0, b"c", "c")
    kept(memory, 3.0, b"d", "d", degraded=True)
    assert [key for key in (A, B, b"c", b"d") if memory.meet(3.0, key, BODY)] == [b"c", b"d"]


def test_repetitions_of_a_key_are_bounded_whatever_they_meet_and_keys_do_not_disturb_each_other():
    memory = keys(repeats="3 per 10s", ttl="1h")
    claim = memory.claim(0.0, A, BODY, until=5.0)
    assert memory.meet(0.0, A, OTHER).word == "mismatch"
    assert memory.meet(1.0, A, BODY).word == "running"
    memory.settle(2.0, claim, "x", 1, degraded=False)
    assert memory.meet(2.0, A, BODY).word == "replayed"
    assert memory.meet(3.0, A, BODY) == Known("repeated", retry_after=7.0)
    assert memory.meet(3.0, A, OTHER) == Known("repeated", retry_after=7.0)
    kept(memory, 3.0, B, "y")
    assert memory.meet(3.0, B, BODY).word == "replayed"
    assert memory.meet(10.0, A, BODY).word == "replayed"


def test_another_policy_holds_for_what_is_remembered_and_lets_everybody_finish_who_runs():
    memory = keys(max=3, max_size="10KiB")
    claims = [memory.claim(0.0, bytes([n]), BODY, until=5.0) for n in range(3)]
    for key in (A, B):
        assert memory.claim(0.0, key, BODY, until=5.0) is None
    for claim in claims[:2]:
        memory.settle(1.0, claim, "x", 1, degraded=False)
    memory.adopt(2.0, policy(max=1, ttl="4s"))
    assert memory.held(2.0) == Held(1, 1, 1 + AROUND)
    assert memory.meet(4.9, b"\1", BODY) == Known("replayed", "x")
    assert memory.meet(5.0, b"\1", BODY) is None
    assert memory.settle(6.0, claims[2], "z", 1, degraded=False) == 0
    memory.adopt(11.0, policy(ttl="1m"))
    assert memory.meet(11.0, b"\2", BODY) is None  # what was over is not brought back


def test_after_a_reload_repetitions_of_each_key_are_bounded_as_before():
    memory = keys(repeats="1 per 10s")
    for key in (A, B):
        kept(memory, 0.0, key, "x")
    memory.adopt(1.0, policy(repeats="1 per 10s"))
    assert [memory.meet(1.0, key, BODY).word for key in (A, B, A, B)] == [
        "replayed",
        "replayed",
        "repeated",
        "repeated",
    ]


# -- any life at all ----------------------------------------------------------------------------------------------------

NAMES, BODIES = [bytes([65 + n]) for n in range(6)], [BODY, OTHER]


class Lives(RuleBasedStateMachine):
    """Against lists of everything that is running and of everything that was ever kept."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.policy = policy(max=3, max_size="4KiB", ttl="8s", degraded_ttl="2s", repeats="1000000 per 1s")
        self.memory: Keys[int] = Keys(self.policy)
        self.running: list[Claim] = []
        self.kept: list[tuple[float, bytes, bytes, int, int, bool]] = []  # at, key, body, answer, size, degraded
        self.answers = 0

    def there(self) -> list[tuple[float, bytes, bytes, int, int, bool]]:
        """What is kept now: in its time, and not driven out."""
        ttl = {False: self.policy.ttl, True: self.policy.degraded_ttl}
        return [each for each in self.kept if self.now < each[0] + ttl[each[5]]]

    @rule(eighths=st.integers(0, 30))
    def time_passes(self, eighths: int) -> None:
        self.now += eighths / 8  # sums of eighths are exact
        self.kept = self.there()

    @rule(key=st.sampled_from(NAMES), body=st.sampled_from(BODIES), patience=st.integers(1, 5))
    def a_chat_comes(self, key: bytes, body: bytes, patience: int) -> None:
        running = [claim for claim in self.running if claim.key == key]
        kept = [each for each in self.there() if each[1] == key]
        met = self.memory.meet(self.now, key, body)
        if running:
            wanted = Known("running", retry_after=max(running[0].until - self.now, 0.0))
            assert met == (wanted if running[0].body == body else Known("mismatch"))
        elif kept:
            assert met == (Known("replayed", kept[0][3]) if kept[0][2] == body else Known("mismatch"))
        else:
            assert met is None
        claim = self.memory.claim(self.now, key, body, self.now + patience)
        assert (claim is not None) == (met is None and len(self.running) < self.policy.max)
        if claim is not None:
            self.running.append(claim)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), size=st.integers(0, 4000), degraded=st.booleans())
    def a_chat_is_answered(self, data: st.DataObject, size: int, *, degraded: bool) -> None:
        claim = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.answers += 1
        gone = self.memory.settle(self.now, claim, self.answers, size, degraded=degraded)
        self.kept = self.there()
        if size + AROUND > self.policy.max_size or (degraded and not self.policy.degraded_ttl):
            assert gone is None
            return
        self.kept.append((self.now, claim.key, claim.body, self.answers, size + AROUND, degraded))
        assert gone == self.make_room()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_chat_ends_without_an_answer(self, data: st.DataObject) -> None:
        self.memory.release(self.running.pop(data.draw(st.integers(0, len(self.running) - 1))))

    @rule(
        most=st.integers(1, 4),
        size=st.sampled_from(["2KiB", "4KiB"]),
        ttl=st.integers(2, 9),
        degraded=st.integers(0, 2),
    )
    def a_policy_is_adopted(self, most: int, size: str, ttl: int, degraded: int) -> None:
        self.kept = self.there()
        stated = {"ttl": f"{ttl}s", "degraded_ttl": f"{degraded}s", "repeats": "1000000 per 1s"}
        self.policy = policy(max=most, max_size=size, **stated)
        self.memory.adopt(self.now, self.policy)
        self.kept = self.there()
        self.make_room()

    def make_room(self) -> int:
        gone = 0
        # Of two kept in the same moment the whole one goes first; nothing depends on it but that both sides agree.
        while len(self.kept) > self.policy.max or sum(each[4] for each in self.kept) > self.policy.max_size:
            self.kept.remove(min(self.kept, key=lambda each: (each[0], each[5])))
            gone += 1
        return gone

    @invariant()
    def memory_is_bounded_and_what_the_model_says(self) -> None:
        held, there = self.memory.held(self.now), self.there()
        assert held == Held(len(self.running), len(there), sum(each[4] for each in there))
        assert held.kept <= self.policy.max
        assert held.size <= self.policy.max_size
        claimed = [claim.key for claim in self.running]
        assert len(set(claimed)) == len(claimed)
        assert not {each[1] for each in there} & set(claimed)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


# -- what an answer takes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("repeated", "around"), [(0, AROUND), (30, 3 * AROUND)])
def test_what_counts_beside_an_answers_own_bytes_is_no_less_than_what_it_takes(repeated, around):
    """Answers as the edge keeps them. The times of a key's repetitions come on top, and are bounded by the policy's rate."""
    memory: Keys[object] = Keys(policy(max=1000, max_size="64MiB", ttl="1h", repeats="30 per 60s"))
    many, size = 500, 600

    def fill() -> None:
        for number in range(many):
            key, body = number.to_bytes(32, "big"), (number + many).to_bytes(32, "big")
            fields = {"Proxy-Status": "x" * number, "Idempotent-Replayed": "true"}
            answer = (Reply(200, b"x" * size + key, fields), f"{number:036}")
            memory.settle(0.0, memory.claim(0.0, key, body, 5.0), answer, size + 32 + number, degraded=False)
            for again in range(repeated):
                assert memory.meet(again / 1000, key, body).answer is answer

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fill()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    held = memory.held(0.0)
    assert held.kept == many
    assert around / 2 < (taken - (held.size - many * AROUND)) / many <= around
