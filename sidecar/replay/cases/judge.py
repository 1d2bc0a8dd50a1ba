"""What was expected, held against what came: nothing to say, or what a person needs to see why.

Times are compared as they are written, to the microsecond, so that what takes exactly as long as it may is in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sidecar.core.breaker import State
from sidecar.core.fact import AttemptEnded, BreakerMoved
from sidecar.policy.units import duration_text, share_text
from sidecar.replay.cases.case import Expectation, OfBreaker, OfChats, OfCount, OfShare, Overriding, Sign
from sidecar.replay.cases.expected import CLIENT_GONE, NO_REASON, NOBODY
from sidecar.replay.cases.play import Played, Told

_ROUNDING = 6  # decimals of a second, and of a share
_FEW = 12  # attempts, or moves, that are shown: more are counted


class Failure(NamedTuple):
    """Something that did not hold: of what, what was expected, what came, and how (``how`` names ``course``)."""

    about: str
    expected: str
    got: str
    how: str
    course: str


def judge(expectation: Expectation, played: Played) -> list[Failure]:
    """Every failure of one expectation; of chats one for each that is otherwise."""
    if isinstance(expectation, OfChats):
        return list(_of_chats(expectation, played))
    if isinstance(expectation, OfBreaker):
        return _of_breaker(expectation, played)
    return _of_count(expectation, played) if isinstance(expectation, OfCount) else _of_share(expectation, played)


def misfit(event: Overriding) -> Failure:
    """An override of a target that is not on the ladder: the sidecar would refuse it, and the case would show nothing."""
    about = f"the override of {event.target} at {duration_text(event.at)}"
    return Failure(about, f"{event.target} on the ladder", "a policy in force that does not ask it", "", "")


# -- chats -------------------------------------------------------------------------------------------------------------


def _of_chats(expectation: OfChats, played: Played) -> Iterator[Failure]:
    for number in range(expectation.first, expectation.last + 1):
        chat = played.chats[number - 1]
        unmet = [words for words, held in _conditions(expectation, chat) if not held]
        if unmet:
            about = f"chat {number} (at {duration_text(chat.at)})"
            yield Failure(about, ", ".join(unmet), _answer(chat), "attempts", _course(chat))


def _conditions(wanted: OfChats, chat: Told) -> Iterator[tuple[str, bool]]:
    """Each condition that is stated, in words, and whether it holds."""
    if wanted.provider is not None:
        yield f"provider {wanted.provider}", wanted.provider == _provider(chat)
    if wanted.degraded is not None:
        yield "degraded" if wanted.degraded else "not degraded", wanted.degraded == chat.finish.degraded
    if wanted.reason is not None:
        yield f"reason {wanted.reason}", wanted.reason == _reason(chat)
    if wanted.within is not None:
        yield f"within {duration_text(wanted.within)}", round(chat.seconds, _ROUNDING) <= wanted.within
    if wanted.after is not None:
        yield f"after at least {duration_text(wanted.after)}", round(chat.seconds, _ROUNDING) >= wanted.after
    if wanted.attempts is not None:
        yield f"attempts [{', '.join(map(str, wanted.attempts))}]", _matches(wanted.attempts, chat.attempts)
    if wanted.number is not None:
        yield f"{wanted.number} attempt{'s' * (wanted.number != 1)}", wanted.number == len(chat.attempts)
    for target in wanted.untouched:
        yield f"no attempt on {target}", all(attempt.target != target for attempt in chat.attempts)


def _matches(signs: Sequence[Sign], attempts: Sequence[AttemptEnded]) -> bool:
    return len(signs) == len(attempts) and all(
        sign.target == attempt.target and (sign.word is None or sign.word in _words(attempt))
        for sign, attempt in zip(signs, attempts, strict=True)
    )


def _words(attempt: AttemptEnded) -> tuple[str, ...]:
    """What an attempt may be called, the most telling first."""
    outcome, verdict = attempt.outcome, attempt.verdict.value
    if outcome is None:
        return (verdict,)
    if outcome.error is not None:
        return outcome.error.value, verdict
    # Of an answer that means what it seems to mean the verdict tells more than 200.
    status = str(outcome.status)
    return (verdict, status) if outcome.status in range(200, 300) else (status, verdict)


def _provider(chat: Told) -> str:
    return CLIENT_GONE if chat.finish.abandoned else chat.finish.provider or NOBODY


def _reason(chat: Told) -> str:
    return chat.finish.reason.value if chat.finish.reason else NO_REASON


def _answer(chat: Told) -> str:
    """Who answered, and when."""
    if chat.finish.abandoned:
        return f"the client left after {duration_text(chat.seconds)}"
    marks = ["degraded", f"reason {_reason(chat)}"] if chat.finish.degraded else []
    return ", ".join([f"provider {_provider(chat)}", *marks, f"after {duration_text(chat.seconds)}"])


def _course(chat: Told) -> str:
    """Attempts with their times, waits between them, and whom nobody asked."""
    told: list[str] = []
    at = chat.at
    for fact in chat.course:
        waited = fact.at - (fact.seconds if isinstance(fact, AttemptEnded) else 0.0) - at
        if round(waited, _ROUNDING) > 0:
            told.append(f"waited {duration_text(waited)}")
        at = fact.at
        if isinstance(fact, AttemptEnded):
            told.append(f"{fact.target} {_words(fact)[0]} after {duration_text(fact.seconds)}")
        else:
            told.append(f"{fact.target} not asked ({fact.reason.value})")
    return _shortened(told) or "none"


def _shortened(told: list[str]) -> str:
    more = [f"and {len(told) - _FEW} more"] if len(told) > _FEW else []
    return "; ".join(told[:_FEW] + more)


# -- breakers ----------------------------------------------------------------------------------------------------------


def _of_breaker(expectation: OfBreaker, played: Played) -> list[Failure]:
    moves = [move for move in played.moves if move.target == expectation.target]
    before = [move for move in moves if round(move.at, _ROUNDING) <= expectation.at]
    state = before[-1].after if before else State.CLOSED.value
    if state == expectation.state:
        return []
    about = f"breaker of {expectation.target} at {duration_text(expectation.at)}"
    since = f" since {duration_text(before[-1].at)} ({before[-1].why})" if before else ""
    return [Failure(about, expectation.state, state + since, "moves", _moves(moves))]


def _moves(moves: list[BreakerMoved]) -> str:
    return _shortened([f"{move.after} at {duration_text(move.at)} ({move.why})" for move in moves]) or "none"


# -- the whole case ----------------------------------------------------------------------------------------------------


def _of_count(expectation: OfCount, played: Played) -> list[Failure]:
    if expectation.what == "trips":
        found = [move for move in played.moves if move.after == State.OPEN and move.target == expectation.target]
        count, how, course = len(found), "moves", _moves([m for m in played.moves if m.target == expectation.target])
    else:
        attempts = [attempt for chat in played.chats for attempt in chat.attempts]
        wanted = [attempt for attempt in attempts if expectation.target in (None, attempt.target)]
        count, how, course = len(wanted), "attempts", _tallied(f"{a.target} {_words(a)[0]}" for a in wanted)
    least, most = expectation.least, expectation.most
    if (least is None or least <= count) and (most is None or count <= most):
        return []
    where = f" on {expectation.target}" if expectation.target else ""
    bounds = _bounds(*(None if bound is None else str(bound) for bound in (least, most)))
    return [Failure(f"{expectation.what}{where}", bounds, str(count), how, course)]


def _of_share(expectation: OfShare, played: Played) -> list[Failure]:
    chats = played.chats
    if expectation.provider is not None:
        what = f"answered by {expectation.provider}"
        count = sum(_provider(chat) == expectation.provider for chat in chats)
    else:
        what = "degraded" if expectation.degraded else "not degraded"
        count = sum(chat.finish.degraded == expectation.degraded for chat in chats)
    share = round(count / len(chats), _ROUNDING)  # as far as a share can be written
    least, most = expectation.least, expectation.most
    if (least is None or least <= share) and (most is None or share <= most):
        return []
    bounds = _bounds(*(None if bound is None else share_text(bound) for bound in (least, most)))
    got = f"{share_text(share)} ({count} of {len(chats)})"
    return [Failure(f"share {what}", bounds, got, "chats", _tallied(_provider(chat) for chat in chats))]


def _bounds(least: str | None, most: str | None) -> str:
    if least == most:
        return f"exactly {least}"
    return " and ".join(
        f"{word} {bound}" for word, bound in (("at least", least), ("at most", most)) if bound is not None
    )


def _tallied(words: Iterator[str]) -> str:
    counted = Counter(words)
    return ", ".join(f"{word} {count}" for word, count in counted.most_common()) or "none"
