"""What is expected, read: of chats, of a breaker at a moment, of counts and of shares over the whole case."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from sidecar.core.breaker import State
from sidecar.core.vocabulary import ErrorKind, Reason, Verdict
from sidecar.policy.problem import Place
from sidecar.policy.source import Node, Path
from sidecar.replay.cases.case import Expectation, OfBreaker, OfChats, OfCount, OfShare, Sign
from sidecar.replay.cases.given import TARGETS
from sidecar.replay.form import Form, listed

NOBODY, CLIENT_GONE = "nobody", "client_gone"
PROVIDERS = (*TARGETS, "local", NOBODY, CLIENT_GONE)
NO_REASON = "none"
REASONS = (NO_REASON, *(reason.value for reason in Reason))
SIGNS = (*(verdict.value for verdict in Verdict), *(kind.value for kind in ErrorKind))
MOST_ATTEMPTS = 1_000_000

_CONDITIONS = ("provider", "degraded", "reason", "within", "after", "attempts", "no_attempt_on")
_OF_CHATS = ("chats", *_CONDITIONS)
_BOUNDS = ("at_least", "at_most", "exactly")
_NUMBERS = re.compile(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?")
_STATUS = re.compile(r"[1-5][0-9][0-9]")
_Number = TypeVar("_Number", int, float)


def read_expected(form: Form, node: Node, path: Path, chats: int) -> tuple[Expectation, ...]:
    """The expectations of a case that has so many ``chats``."""
    read = [_one(form, below, where, chats) for where, below in form.entries(node, path, "expectations")]
    return tuple(expectation for expectation in read if expectation is not None)


def _one(form: Form, node: Node, path: Path, chats: int) -> Expectation | None:
    stated = node.value if isinstance(node.value, dict) else {}
    if "chats" in stated:
        return _of_chats(form, node, path, chats)
    if len(stated) != 1 or (about := next(iter(stated))) not in _ABOUT:
        subjects = listed(("chats", *_ABOUT), "or")
        form.wrong(node.place, path, f"must be about one thing: {subjects}, as in - chats: all")
        return None
    return _ABOUT[about](form, node.place, stated[about], (*path, about))


# -- chats -------------------------------------------------------------------------------------------------------------


def _of_chats(form: Form, node: Node, path: Path, chats: int) -> OfChats:
    stated = form.mapping(node, path, _OF_CHATS)
    if len(node.value) == 1:
        form.wrong(node.place, path, f"expects nothing of these chats: write one of {listed(_CONDITIONS, 'and')}")
    first, last = _numbers(form, stated["chats"], (*path, "chats"), chats)
    signs, number = _attempts(form, stated.get("attempts"), (*path, "attempts"))

    def at(key: str) -> tuple[Node, Path]:
        return stated[key], (*path, key)

    expectation = OfChats(
        node.place,
        first,
        last,
        provider=form.word(*at("provider"), PROVIDERS) if "provider" in stated else None,
        degraded=form.truth(*at("degraded")) if "degraded" in stated else None,
        reason=form.word(*at("reason"), REASONS) if "reason" in stated else None,
        within=form.duration(*at("within"), zero=True) if "within" in stated else None,
        after=form.duration(*at("after"), zero=True) if "after" in stated else None,
        attempts=signs,
        number=number,
        untouched=_targets(form, stated.get("no_attempt_on"), (*path, "no_attempt_on")),
    )
    if expectation.within is not None and expectation.after is not None and expectation.after > expectation.within:
        form.unfit(stated["after"], (*path, "after"), "must not be longer than within")
    return expectation


def _numbers(form: Form, node: Node, path: Path, chats: int) -> tuple[int, int]:
    if node.value == "all":
        return 1, chats
    if node.value == "last":
        return chats, chats
    match = _NUMBERS.fullmatch(str(node.value)) if isinstance(node.value, str | int) else None
    if match is None:
        form.unfit(node, path, "must be all, last, the number of a chat (from 1), or a range as in 2-5")
        return 1, 1
    first = int(match[1])
    last = int(match[2] or first)
    if not first <= last <= chats:
        form.unfit(node, path, f"must be among the chats of this case, 1 to {chats}")
    return first, last


def _attempts(form: Form, node: Node | None, path: Path) -> tuple[tuple[Sign, ...] | None, int | None]:
    """All attempts of a chat in order, or how many there are."""
    if node is None:
        return None, None
    if isinstance(node.value, list):
        return tuple(_sign(form, below, (*path, index)) for index, below in enumerate(node.value)), None
    if isinstance(node.value, int):
        return None, form.whole(node, path, 0, MOST_ATTEMPTS)
    form.unfit(node, path, "must be a list of attempts, as in [switch timeout, madre success], or how many there are")
    return None, None


def _sign(form: Form, node: Node, path: Path) -> Sign:
    words = node.value.split() if isinstance(node.value, str) else []
    if not 1 <= len(words) <= 2 or words[0] not in TARGETS:
        form.unfit(node, path, f"must be {listed(TARGETS, 'or')} and what came of it, as in switch timeout")
        return Sign(TARGETS[0], None)
    word = words[1] if words[1:] else None
    if word is not None and word not in SIGNS and not _STATUS.fullmatch(word):
        form.unfit(node, path, f"must end with {', '.join(SIGNS)} or an HTTP status")
    return Sign(words[0], word)


def _targets(form: Form, node: Node | None, path: Path) -> tuple[str, ...]:
    if node is None:
        return ()
    if not isinstance(node.value, list):
        return (form.word(node, path, TARGETS),)
    return tuple(form.word(below, where, TARGETS) for where, below in form.entries(node, path, "targets"))


# -- the rest ----------------------------------------------------------------------------------------------------------


def _of_breaker(form: Form, place: Place, node: Node, path: Path) -> OfBreaker:
    keys = ("target", "at", "state")
    stated = form.mapping(node, path, keys, needed=keys)
    if len(stated) < len(keys):
        return OfBreaker(place, TARGETS[0], 0.0, State.CLOSED.value)
    return OfBreaker(
        place,
        form.word(stated["target"], (*path, "target"), TARGETS),
        form.duration(stated["at"], (*path, "at"), zero=True),
        form.word(stated["state"], (*path, "state"), [state.value for state in State]),
    )


def _of_attempts(form: Form, place: Place, node: Node, path: Path) -> OfCount:
    return _of_count(form, place, node, path, needed=())


def _of_trips(form: Form, place: Place, node: Node, path: Path) -> OfCount:
    return _of_count(form, place, node, path, needed=("target",))


def _of_count(form: Form, place: Place, node: Node, path: Path, needed: tuple[str, ...]) -> OfCount:
    stated = form.mapping(node, path, ("target", *_BOUNDS), needed)
    least, most = _bounds(form, node, stated, path, lambda below, where: form.whole(below, where, 0, MOST_ATTEMPTS))
    target = form.word(stated["target"], (*path, "target"), TARGETS) if "target" in stated else None
    return OfCount(place, str(path[-1]), target, least, most)


def _of_share(form: Form, place: Place, node: Node, path: Path) -> OfShare:
    stated = form.mapping(node, path, ("provider", "degraded", *_BOUNDS))
    if ("provider" in stated) == ("degraded" in stated):
        form.wrong(
            node.key or node.place, path, "must be of one thing: provider, as in madre, or degraded, true or false"
        )
    least, most = _bounds(form, node, stated, path, form.share)
    provider = form.word(stated["provider"], (*path, "provider"), PROVIDERS) if "provider" in stated else None
    degraded = form.truth(stated["degraded"], (*path, "degraded")) if "degraded" in stated else None
    return OfShare(place, provider, degraded, least, most)


def _bounds(
    form: Form, node: Node, stated: Mapping[str, Node], path: Path, read: Callable[[Node, Path], _Number]
) -> tuple[_Number | None, _Number | None]:
    """Least and most, of which at least one is stated."""
    named = {key: read(stated[key], (*path, key)) for key in _BOUNDS if key in stated}
    if not named or ("exactly" in named and len(named) > 1):
        form.wrong(node.key or node.place, path, "must say how many: at_least, at_most or both, or exactly alone")
    exact = named.get("exactly")
    least, most = named.get("at_least", exact), named.get("at_most", exact)
    if least is not None and most is not None and least > most:
        form.unfit(stated["at_most"], (*path, "at_most"), "must not be below at_least")
    return least, most


_ABOUT: Mapping[str, Callable[[Form, Place, Node, Path], Expectation]] = {
    "breaker": _of_breaker,
    "attempts": _of_attempts,
    "trips": _of_trips,
    "share": _of_share,
}
