"""Say who answers chats now, and why, in a terminal: the admin port's status page in words.

The admin token is read from VX11_SIDECAR_ADMIN_TOKEN, or from the file that VX11_SIDECAR_ADMIN_TOKEN_FILE names, where one is set;
on loopback none is needed.

Exit codes: 0 it serves and is not degraded, 1 it is degraded, not ready, or its policy files cannot be used, 2 it cannot be
asked. With --watch it is that of the last look; Ctrl-C ends it.

With --output json one object is printed, with --watch one line each time: "state", "calls" and "trend" as the admin port gives
them. Keys are only ever added.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from sidecar.cli.asking import ADMIN, CannotAskError, Place, ask, place, token

WELL, UNWELL, UNASKED = 0, 1, 2
WIDTH = 100  # columns where there is no terminal
PATHS = ("state", "calls", "trend")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--admin",
        metavar="HOST:PORT",
        type=place,
        default=ADMIN,
        help="admin port of the sidecar (%(default)s)",
    )
    add(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        nargs="?",
        const=2.0,
        help="look again every so often, 2 s if not said",
    )
    add("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Ask and print; the exit code. Raises ValueError for a token that cannot be read."""
    secret = token(os.environ)
    if arguments.watch is None:
        code, said = _look(arguments.admin, secret, as_json=arguments.output == "json")
        sys.stdout.write(said)
        return code
    code = WELL
    try:
        while True:
            if arguments.output == "text" and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            # Known before it is written: an interrupt may come as soon as the last byte can be read.
            code, said = _look(arguments.admin, secret, as_json=arguments.output == "json", each=True)
            sys.stdout.write(said)
            sys.stdout.flush()
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return code


def _look(where: Place, secret: str | None, *, as_json: bool, each: bool = False) -> tuple[int, str]:
    """The exit code of a look, and what to print of it."""
    try:
        told = {path: ask(where, path, secret) for path in PATHS}
    except CannotAskError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return UNASKED, ""
    said = _json(told, indent=None if each else 2) if as_json else _text(told, where) + "\n" * each
    return verdict(told["state"]), said


def verdict(state: Mapping[str, Any]) -> int:
    """The exit code for what ``/state`` says."""
    answering = state["answering"] or {}
    degraded = (
        answering.get("degraded") and state["policy"]["mode"] == "enforce"
    )  # else that was an answer of former days
    unwell = state["status"] != "serving" or state["policy_problems"] or degraded
    return UNWELL if unwell else WELL


# -- options and output -------------------------------------------------------------------------------------------------


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no such time: write seconds from 0.1 to 86400")
    return seconds


def _json(told: Mapping[str, Any], indent: int | None) -> str:
    import json  # noqa: PLC0415

    return json.dumps(told, indent=indent, ensure_ascii=False) + "\n"


def _text(told: Mapping[str, Any], where: Place) -> str:
    import shutil  # noqa: PLC0415

    from sidecar.cli.status_text import Look, text  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal or "COLUMNS" in os.environ else WIDTH
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return text(told, str(where), Look(max(width, 40), colour=colour, plain=plain))
