"""A cases file becomes values, or a list of everything that is wrong with it and with the policies it names.

Files that it names are found relative to it. Nothing is played here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path as File

from sidecar.core.vocabulary import Override
from sidecar.policy.load import Loaded, load
from sidecar.policy.problem import PolicyError
from sidecar.policy.source import Node, Path, read
from sidecar.replay.cases.case import Case, Cases, Chat, Event, Overriding, Power, Reload
from sidecar.replay.cases.expected import read_expected
from sidecar.replay.cases.given import TARGETS, read_given
from sidecar.replay.form import Form, text_of

MOST_CHATS = 10_000  # of one case: each is played once for every seed
NO_OVERRIDE = "none"
KINDS = (*(override.value for override in Override), NO_OVERRIDE)
UNREADABLE = "unreadable"

_CASE_KEYS = ("name", "given", "chats", "events", "expect")
_CHAT_KEYS = ("at", "count", "every", "patience", "leaves_after")
_HAPPENINGS = ("override", "power", "policy")


def read_cases(file: File, instead: Loaded | None = None) -> Cases:
    """The cases in ``file``, for its policy or for the one given ``instead``. Raises PolicyError with every problem."""
    root, found = read(text_of(file), str(file))
    form = Form(found)
    if root is None:
        raise PolicyError(form.problems)
    cases = _Document(form, file).cases(root, instead)
    if form.problems:
        raise PolicyError(form.problems)
    assert cases is not None  # noqa: S101 - what keeps it from being there is a problem
    return cases


class _Document:
    """One file being read; policies that it names are loaded once."""

    def __init__(self, form: Form, file: File) -> None:
        self._form = form
        self._file = file
        self._policies: dict[File, Loaded | None] = {}

    def cases(self, root: Node, instead: Loaded | None) -> Cases | None:
        stated = self._form.mapping(root, (), ("policy", "cases"), needed=("cases",))
        loaded = instead
        if "policy" in stated:  # read also where another one takes its place: a file that is wrong is wrong
            own = self._policy(stated["policy"], ("policy",))
            loaded = instead or own
        elif instead is None:
            self._form.wrong(root.place, ("policy",), "is missing: name the policy under test, relative to this file")
        if "cases" not in stated:
            return None
        entries = self._form.entries(stated["cases"], ("cases",), "cases")
        cases = [self._case(node, path) for path, node in entries]
        self._named_once(cases)
        return None if loaded is None else Cases(str(self._file), loaded, tuple(cases))

    def _named_once(self, cases: list[Case]) -> None:
        first: dict[str, int] = {}
        for index, case in enumerate(cases):
            line = first.setdefault(case.name, case.place.line)
            if case.name and line != case.place.line:
                self._form.wrong(case.place, ("cases", index, "name"), f"is the name of a case in line {line} already")

    def _case(self, node: Node, path: Path) -> Case:
        form = self._form
        stated = form.mapping(node, path, _CASE_KEYS, needed=("name", "expect"))
        name = form.text(stated["name"], (*path, "name"), "a text that says what holds") if "name" in stated else ""
        given = read_given(form, stated["given"], (*path, "given")) if "given" in stated else {}
        chats = self._chats(stated["chats"], (*path, "chats")) if "chats" in stated else [Chat(0.0, None, None)]
        events = self._events(stated["events"], (*path, "events")) if "events" in stated else []
        expect = read_expected(form, stated["expect"], (*path, "expect"), len(chats)) if "expect" in stated else ()
        place = stated["name"].place if "name" in stated else node.place
        return Case(name, place, given, tuple(chats), tuple(events), expect)

    # -- chats ---------------------------------------------------------------------------------------------------------

    def _chats(self, node: Node, path: Path) -> list[Chat]:
        """One group of chats, or several; in the order of time."""
        grouped = isinstance(node.value, list)
        entries = self._form.entries(node, path, "groups of chats") if grouped else [(path, node)]
        chats = [chat for where, below in entries for chat in self._group(below, where)]
        if len(chats) > MOST_CHATS:
            self._form.wrong(node.key or node.place, path, f"are more than {MOST_CHATS} chats: a case needs few")
        return sorted(chats, key=lambda chat: chat.at) or [Chat(0.0, None, None)]

    def _group(self, node: Node, path: Path) -> list[Chat]:
        form = self._form
        stated = form.mapping(node, path, _CHAT_KEYS)

        def duration(key: str, *, zero: bool = False) -> float | None:
            return form.duration(stated[key], (*path, key), zero=zero) if key in stated else None

        count = form.whole(stated["count"], (*path, "count"), 1, MOST_CHATS) if "count" in stated else 1
        if (count > 1) != ("every" in stated):
            form.wrong(
                node.place, path, "must state both count and every where there is more than one chat (0s: all at once)"
            )
        at, every = duration("at", zero=True) or 0.0, duration("every", zero=True) or 0.0
        patience, leaves = duration("patience"), duration("leaves_after")
        return [Chat(round(at + every * number, 6), patience, leaves) for number in range(count)]

    # -- what happens in the middle ------------------------------------------------------------------------------------

    def _events(self, node: Node, path: Path) -> list[Event]:
        read = [self._event(below, where) for where, below in self._form.entries(node, path, "events")]
        return sorted((event for event in read if event is not None), key=lambda event: event.at)

    def _event(self, node: Node, path: Path) -> Event | None:
        stated = self._form.mapping(node, path, ("at", *_HAPPENINGS), needed=("at",))
        named = [key for key in _HAPPENINGS if key in stated]
        if len(named) != 1:
            self._form.wrong(node.place, path, "must be one thing that happens: override, power or policy")
        if len(named) != 1 or "at" not in stated:
            return None
        at = self._form.duration(stated["at"], (*path, "at"), zero=True)
        readers: Mapping[str, Callable[[float, Node, Path], Event | None]] = {
            "override": self._override,
            "power": self._power,
            "policy": self._reload,
        }
        return readers[named[0]](at, stated[named[0]], (*path, named[0]))

    def _override(self, at: float, node: Node, path: Path) -> Event | None:
        keys = ("target", "kind")
        stated = self._form.mapping(node, path, keys, needed=keys)
        if len(stated) < len(keys):
            return None
        target = self._form.word(stated["target"], (*path, "target"), TARGETS)
        kind = self._form.word(stated["kind"], (*path, "kind"), KINDS)
        return Overriding(at, node.key or node.place, target, None if kind == NO_OVERRIDE else Override(kind))

    def _power(self, at: float, node: Node, path: Path) -> Event:
        if node.value == UNREADABLE:
            return Power(at, None)
        if not isinstance(node.value, list):
            self._form.unfit(
                node, path, f"must be a list of the services that are on, as in [madre, redis], or {UNREADABLE}"
            )
            return Power(at, None)
        names = [
            self._form.text(below, (*path, index), "the name of a service") for index, below in enumerate(node.value)
        ]
        return Power(at, frozenset(names))

    def _reload(self, at: float, node: Node, path: Path) -> Event | None:
        loaded = self._policy(node, path)
        return None if loaded is None else Reload(at, loaded)

    def _policy(self, node: Node, path: Path) -> Loaded | None:
        """The policy that a node names; what is wrong with it is a problem of this file as well."""
        name = self._form.text(node, path, "the name of a policy file, relative to this one")
        if not name:
            return None
        file = self._file.parent / name
        if file not in self._policies:
            self._policies[file] = self._load(file, node, path)
        return self._policies[file]

    def _load(self, file: File, node: Node, path: Path) -> Loaded | None:
        try:
            return load(file)
        except PolicyError as error:
            for problem in error.problems:
                if (
                    problem.place == (str(file), 1, 1) and not problem.path
                ):  # of the file as a whole: it is this name that is wrong
                    self._form.unfit(node, path, problem.message)
                else:
                    self._form.problems.append(problem)
            return None
