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
from typing import Any, NamedTuple

WELL, UNWELL, UNASKED = 0, 1, 2
PATIENCE = 5.0  # seconds for each answer
LARGEST = 8 << 20  # bytes of one: ours are below 100 KiB
WIDTH = 100  # columns where there is no terminal
PATHS = ("state", "calls", "trend")


class CannotAskError(OSError):
    """There is nobody who answers as a sidecar would; the text is for people."""


class Place(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--admin",
        metavar="HOST:PORT",
        type=_place,
        default=Place("127.0.0.1", 9180),
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
    token = _token(os.environ)
    if arguments.watch is None:
        return _look(arguments.admin, token, as_json=arguments.output == "json")
    code = WELL
    try:
        while True:
            if arguments.output == "text" and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            code = _look(arguments.admin, token, as_json=arguments.output == "json", each=True)
            sys.stdout.flush()
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return code


def _look(place: Place, token: str | None, *, as_json: bool, each: bool = False) -> int:
    try:
        told = {path: _ask(place, path, token) for path in PATHS}
    except CannotAskError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        return UNASKED
    sys.stdout.write(_json(told, indent=None if each else 2) if as_json else _text(told, place) + "\n" * each)
    return verdict(told["state"])


def verdict(state: Mapping[str, Any]) -> int:
    """The exit code for what ``/state`` says."""
    answering = state["answering"] or {}
    unwell = state["status"] != "serving" or state["policy_problems"] or answering.get("degraded")
    return UNWELL if unwell else WELL


# -- asking -------------------------------------------------------------------------------------------------------------


def _ask(place: Place, path: str, token: str | None) -> Any:
    """One question, straight to the port: no proxy, no redirect, so that the token goes nowhere else. Raises CannotAskError."""
    import http.client  # noqa: PLC0415 - not for --help
    import json  # noqa: PLC0415

    connection = http.client.HTTPConnection(place.host, place.port, timeout=PATIENCE)
    try:
        connection.request("GET", f"/{path}", headers={} if token is None else {"X-VX11-Admin-Token": token})
        answer = connection.getresponse()
        body = json.loads(answer.read(LARGEST))
        if not isinstance(body, dict):
            raise ValueError  # noqa: TRY004, TRY301 - the same complaint as for what is no JSON
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CannotAskError(f"{place} does not answer: {why}") from None
    except ValueError:
        raise CannotAskError(f"{place} is no admin port of a sidecar: what it says of /{path} is no JSON") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise CannotAskError(_refused(place, path, answer.status, body))
    return body


def _refused(place: Place, path: str, status: int, body: Mapping[str, Any]) -> str:
    from sidecar.cli.status_text import clean  # noqa: PLC0415

    if status == 401:
        return f"{place} wants the admin token: set VX11_SIDECAR_ADMIN_TOKEN or VX11_SIDECAR_ADMIN_TOKEN_FILE"
    return f"{place} answered {status} to /{path}: {clean(body.get('detail', ''))}"


def _token(environ: Mapping[str, str]) -> str | None:
    """The admin token, None where none is set. Raises ValueError for one that cannot be read."""
    from sidecar.edge.environment import ADMIN_TOKEN, secret_from  # noqa: PLC0415

    if not environ.get(ADMIN_TOKEN) and not environ.get(f"{ADMIN_TOKEN}_FILE"):
        return None
    return secret_from(f"env {ADMIN_TOKEN}", environ)


# -- options and output -------------------------------------------------------------------------------------------------


def _place(text: str) -> Place:
    host, _, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write HOST:PORT")
    return Place(host, int(port))


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


def _text(told: Mapping[str, Any], place: Place) -> str:
    import shutil  # noqa: PLC0415

    from sidecar.cli.status_text import Look, text  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal or "COLUMNS" in os.environ else WIDTH
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return text(told, str(place), Look(max(width, 40), colour=colour, plain=plain))
