"""What a target does, read: a word, an answer in full, a list of answers, or phases.

Words for usual behaviours are those of the lab, so that what was tried there can be written down here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sidecar.core.classify import LONGEST_SCALAR
from sidecar.core.value import replace
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.source import Node, Path
from sidecar.policy.targets import TEXT
from sidecar.replay.cases.case import Answer, Phase
from sidecar.replay.form import Form, listed

TARGETS = ("switch", "madre")
SOON = 0.05  # seconds until an answer whose time is not stated
AT_ONCE = 0.001  # seconds until a connection is refused, or a name known not to resolve
NEVER = float("inf")
SILENT = Outcome(error=ErrorKind.TIMEOUT)

_ERRORS = tuple(kind.value for kind in ErrorKind if kind is not ErrorKind.TIMEOUT)
_ANSWER_KEYS = ("after", "status", "body", "text", "retry_after", "error")
_PHASE_KEYS = ("from", "answer")
_RANGE = re.compile(r"(\S+) to (\S+)")
_GOOD = {"switch": "ok", "madre": "DONE"}


def _failed(kind: ErrorKind, after: float = SOON) -> Answer:
    return Answer(after, after, Outcome(error=kind))


def _said(word: str, *, text: bool) -> Answer:
    return Answer(SOON, SOON, Outcome(status=200, body={"status": word}, text=text))


_ANYWHERE = {
    "hang": Answer(NEVER, NEVER, SILENT),
    "refuse": _failed(ErrorKind.CONNECT, AT_ONCE),
    "reset": _failed(ErrorKind.RESET),
    "garbage": _failed(ErrorKind.PROTOCOL),
    "html": _failed(ErrorKind.NOT_JSON),
    "huge": _failed(ErrorKind.TOO_LARGE),
}
WORDS: Mapping[str, Mapping[str, Answer]] = {
    "switch": {
        "ok": _said("ok", text=True),
        "error": _said("error", text=False),
        "partial": _said("partial", text=False),
        "empty": _said("ok", text=False),
        **_ANYWHERE,
    },
    "madre": {
        "ok": _said("DONE", text=True),
        "error": _said("ERROR", text=True),
        "waiting": _said("WAITING", text=True),
        **_ANYWHERE,
    },
}


def well(target: str) -> tuple[Phase, ...]:
    """What a target does of which a case says nothing."""
    return (Phase(0.0, (WORDS[target]["ok"],)),)


def read_given(form: Form, node: Node, path: Path) -> dict[str, tuple[Phase, ...]]:
    """The behaviour of each target that is named."""
    named = form.mapping(node, path, TARGETS)
    return {target: _phases(form, target, below, (*path, target)) for target, below in named.items()}


def _phases(form: Form, target: str, node: Node, path: Path) -> tuple[Phase, ...]:
    if not isinstance(node.value, list):
        return (Phase(0.0, (_answer(form, target, node, path),)),)
    entries = form.entries(node, path, "answers, or of phases")
    if any(isinstance(below.value, dict) and "from" in below.value for _, below in entries):
        return _timed(form, target, entries)
    answers = tuple(_answer(form, target, below, where) for where, below in entries)
    return (Phase(0.0, answers),)


def _timed(form: Form, target: str, entries: list[tuple[Path, Node]]) -> tuple[Phase, ...]:
    phases: list[Phase] = []
    for path, node in entries:
        stated = form.mapping(node, path, _PHASE_KEYS, needed=_PHASE_KEYS)
        if len(stated) < len(_PHASE_KEYS):
            continue
        start = form.duration(stated["from"], (*path, "from"), zero=True)
        if not phases and start != 0:
            form.unfit(stated["from"], (*path, "from"), "must be 0s in the first phase")
        elif phases and start <= phases[-1].start:
            form.unfit(stated["from"], (*path, "from"), "must be later than the phase before it")
        phases.append(Phase(start, (_answer(form, target, stated["answer"], (*path, "answer")),)))
    return tuple(phases)


def _answer(form: Form, target: str, node: Node, path: Path) -> Answer:
    words = WORDS[target]
    if isinstance(node.value, dict):
        return _in_full(form, target, node, path)
    if isinstance(node.value, str) and node.value in words:
        return words[node.value]
    if type(node.value) is int and 100 <= node.value <= 599:
        return Answer(SOON, SOON, _http(target, node.value))
    form.unfit(node, path, f"must be {', '.join(words)}, an HTTP status, or a mapping of {listed(_ANSWER_KEYS, 'and')}")
    return words["ok"]


def _http(target: str, status: int) -> Outcome:
    """A plain answer with this status: good if it is a 2xx."""
    if 200 <= status < 300:
        return Outcome(status=status, body={"status": _GOOD[target]}, text=True)
    return Outcome(status=status)


def _in_full(form: Form, target: str, node: Node, path: Path) -> Answer:
    stated = form.mapping(node, path, _ANSWER_KEYS)
    if "error" in stated:
        return _error(form, stated, path)
    status = form.whole(stated["status"], (*path, "status"), 100, 599) if "status" in stated else 200
    outcome = _http(target, status)
    if "body" in stated:
        outcome = replace(outcome, body=_body(form, stated["body"], (*path, "body")))
    if "text" in stated:
        outcome = replace(outcome, text=form.truth(stated["text"], (*path, "text")))
    if "retry_after" in stated:
        outcome = replace(outcome, retry_after=_retry_after(form, stated["retry_after"], (*path, "retry_after")))
    return Answer(*_after(form, stated, path, SOON), outcome)


def _error(form: Form, stated: Mapping[str, Node], path: Path) -> Answer:
    for key in ("status", "body", "text", "retry_after"):
        if key in stated:
            place = stated[key].key or stated[key].place
            form.wrong(place, (*path, key), "does not go with error: state one or the other")
    node = stated["error"]
    if node.value == ErrorKind.TIMEOUT.value:
        form.unfit(node, (*path, "error"), "must not be timeout, which is what silence leads to: write hang")
        return WORDS["switch"]["hang"]
    kind = ErrorKind(form.word(node, (*path, "error"), _ERRORS))
    if kind is ErrorKind.CONNECT_TIMEOUT:
        if "after" in stated:
            place = stated["after"].key or stated["after"].place
            form.wrong(
                place,
                (*path, "after"),
                "does not go with connect-timeout: the policy says after how long (timeouts.connect)",
            )
        return Answer(NEVER, NEVER, Outcome(error=kind))
    usual = AT_ONCE if kind in (ErrorKind.CONNECT, ErrorKind.DNS, ErrorKind.NO_SOCKET) else SOON
    return Answer(*_after(form, stated, path, usual), Outcome(error=kind))


def _after(form: Form, stated: Mapping[str, Node], path: Path, usual: float) -> tuple[float, float]:
    node = stated.get("after")
    if node is None:
        return usual, usual
    between = _RANGE.fullmatch(node.value) if isinstance(node.value, str) else None
    if between is None:
        same = form.duration(node, (*path, "after"), zero=True)
        return same, same
    ends = [Node(text, node.place, node.text) for text in between.groups()]
    least, most = (form.duration(end, (*path, "after"), zero=True) for end in ends)
    if least > most:
        form.unfit(node, (*path, "after"), "must be the shorter time first, as in 20ms to 80ms")
    return least, most


def _retry_after(form: Form, node: Node, path: Path) -> float:
    seconds = form.duration(node, path, zero=True)
    if seconds != int(seconds):
        form.unfit(node, path, "must be whole seconds, as HTTP has it")
    return seconds


def _body(form: Form, node: Node, path: Path) -> dict[str, str]:
    """Scalars by dotted path, as the rules of a policy name them, as text."""
    if not isinstance(node.value, dict):
        form.unfit(node, path, "must be a mapping of dotted paths to words, as in {status: error}")
        return {}
    found = {}
    for key, below in node.value.items():
        if TEXT.intersection(key.split(".")):
            form.wrong(
                below.key or below.place,
                (*path, key),
                "this is the text of an answer, which no rule sees: write text: true",
            )
        elif isinstance(below.value, dict | list) or below.value is None:
            form.unfit(below, (*path, key), "must be a word or number; what lies deeper is written a.b: word")
        elif len(text := _as_text(below.value)) > LONGEST_SCALAR:
            form.unfit(below, (*path, key), f"must have at most {LONGEST_SCALAR} characters: rules see nothing longer")
        else:
            found[key] = text
    return found


def _as_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
