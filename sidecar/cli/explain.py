"""Explain one chat: every decision about it in order, and what it was decided by.

Asks a running sidecar, which remembers the last 1000 chats; or, with --journal, decides the recorded chats again as they were and tells
of the one. Where an id was used more than once it is the last of them; --nth chooses another from a journal.

The admin token is read as by "status". Exit codes: 0 explained, 1 no such chat there, 2 it could not be asked or read.

With --output json one object is printed: "correlation_id", "facts", and of a journal "calls" (so many have this id), "nth" and
"notes" (what cannot be known). Keys are only ever added.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sidecar.cli.asking import ADMIN, CannotAskError, NotThereError, Place, ask, place, token

EXPLAINED, UNKNOWN, UNASKED = 0, 1, 2
_MISSING = "no recent call has this correlation id"  # what the admin port says of it
_POSSIBLE = re.compile(
    r"[A-Za-z0-9._-]{1,128}"
)  # for the id of another kind that a client sends, its chat gets a new one


class Told(NamedTuple):
    """``source`` says where the facts are from, ``notes`` what cannot be known, both for people; ``place`` where in a journal."""

    facts: Sequence[dict[str, Any]]
    source: str
    notes: Sequence[str] = ()
    place: dict[str, int] | None = None


class UnknownCallError(Exception):
    """Nobody knows the call; the text is for people."""


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "correlation_id",
        metavar="CORRELATION_ID",
        type=_named,
        help="as in the answer's X-Correlation-Id, and in the log",
    )
    add("--admin", metavar="HOST:PORT", type=place, help=f"admin port of the sidecar ({ADMIN})")
    add(
        "--journal",
        metavar="PATH",
        nargs="+",
        action="extend",
        type=Path,
        help="journal files, or the directory given to serve --journal, instead of a running sidecar",
    )
    add("--nth", metavar="N", type=_positive, help="of several chats with this id in a journal: 1 is the oldest")
    add("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Find and print; the exit code. Raises ValueError or OSError for what cannot be read."""
    if arguments.journal and arguments.admin:
        raise ValueError("--admin and --journal: the call is explained from one of them")
    if arguments.nth and not arguments.journal:
        raise ValueError("--nth: a running sidecar knows the latest call of an id alone; name a --journal")
    try:
        told = _recorded(arguments) if arguments.journal else _live(arguments.admin or ADMIN, arguments.correlation_id)
    except UnknownCallError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return UNKNOWN
    except CannotAskError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return UNASKED
    write = _json if arguments.output == "json" else _text
    sys.stdout.write(write(arguments.correlation_id, told))
    return EXPLAINED


# -- where the facts are from -------------------------------------------------------------------------------------------


def _live(where: Place, correlation_id: str) -> Told:
    """Raises UnknownCallError or CannotAskError."""
    if not _POSSIBLE.fullmatch(correlation_id):
        raise UnknownCallError("no chat has this id: one is 1 to 128 letters, digits, dots, underscores and hyphens")
    try:
        facts = ask(where, f"calls/{correlation_id}", token(os.environ)).get("facts")
    except NotThereError as error:
        if error.detail != _MISSING:
            raise
        raise UnknownCallError(f"{where}: {_MISSING}; its --journal, if there is one, remembers longer") from None
    if not isinstance(facts, list) or not facts or not all(isinstance(fact, dict) for fact in facts):
        raise CannotAskError(f"{where} is no admin port of a sidecar: what it says of a call are no facts")
    # How the answer left is no decision, and stands in no journal; but it may say that the end told of is none.
    served = [fact for fact in facts if fact.get("fact") == "ChatServed"]
    crashed = any(fact.get("outcome") == "failed" and fact.get("status") == 500 for fact in served)
    notes = ["the sidecar itself failed at this call and answered 500: its log says chat_crashed"] if crashed else []
    return Told([fact for fact in facts if fact not in served], f"told by {where}", notes)


def _recorded(arguments: argparse.Namespace) -> Told:
    """Raises UnknownCallError, UnusableJournalError or OSError."""
    from sidecar.cli.status_text import clean  # noqa: PLC0415
    from sidecar.replay.explain import explain  # noqa: PLC0415

    found = explain(arguments.journal, arguments.correlation_id, arguments.nth)
    notes = [clean(note) for note in found.notes]
    if not found.facts:
        have = f"only {found.calls} of them" if found.calls else "none"
        raise UnknownCallError("; ".join([f"calls with this correlation id in the journal: {have}", *notes]))
    several = "" if found.calls == 1 else f"; {found.nth} of {found.calls} with this id (--nth)"
    where = f"call {found.call} of run {found.run} of {found.runs}, which began at {found.began:.3f}"
    source = f"told from {' '.join(map(str, arguments.journal))}: {where}{several}"
    return Told(found.facts, clean(source), notes, {"calls": found.calls, "nth": found.nth})


# -- options and output -------------------------------------------------------------------------------------------------


def _named(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an id has at least one character")
    return text


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is no place: write 1 for the oldest, 2 for the one after it")
    return int(text)


def _json(correlation_id: str, told: Told) -> str:
    document: dict[str, Any] = {"correlation_id": correlation_id, "facts": told.facts}
    document |= told.place or {}
    return json.dumps(document | ({"notes": told.notes} if told.notes or told.place else {}), indent=2) + "\n"


def _text(correlation_id: str, told: Told) -> str:
    from sidecar.cli.explain_text import text  # noqa: PLC0415

    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    lines = text(correlation_id, told.facts, plain=plain)
    foot = [f"note: {note}" for note in told.notes] + [told.source]
    if plain:
        foot = [line.encode("ascii", "replace").decode() for line in foot]
    return "\n".join([*lines, *foot]) + "\n"
