"""Look at everything a deployment needs, and say what is wrong, why, and what mends it.

It reads the same flags, environment and files as serve, before a sidecar runs and beside one that runs. It changes nothing, but for
one chat ("hola") with each service that chats: the switch answers it by a model, and madre keeps rows of it. With --post-task it
also has madre do the maintenance that ends VX11's deployment checklist: that writes files at madre and rotates its backups.

Each check says ok, warn, fail or skipped; warn and fail with cause and remedy. No token is ever printed.

Exit codes: 0 all is ok or worth a warning at most, 1 something fails, 2 the doctor cannot do as told.

With --output json one object is printed: "checks", a list of "check", "state", "seen", "cause", "remedy" and "seconds"; "checklist",
VX11's own points with "text", "state", "checks" and "unseen"; and "summary", how many there are of each state, and "seconds". Keys are
only ever added.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.serve import add_place_options

if TYPE_CHECKING:
    from sidecar.doctor.report import Look
    from sidecar.doctor.setup import Wanted

FLAGS = ("listen", "admin", "gateway", "switch", "madre", "journal")
LONGEST = 600.0  # seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    add_place_options(parser)
    add = parser.add_argument
    add("--operator", metavar="HOST:PORT", help="operator backend; default: VX11_OPERATOR_URL, else not looked at")
    add(
        "--policy",
        metavar="FILE|DIR",
        type=Path,
        help="policy file, or a directory with a policy.yaml; default: built in",
    )
    add("--journal", metavar="DIR", help="as for serve")
    add("--running", metavar="HOST:PORT", help="admin port of a sidecar that runs; default: --admin, if one is there")
    add("--prometheus", metavar="URL", help="ask this Prometheus whether it scrapes us")
    add("--post-task", action="store_true", help="have madre do its maintenance: changes files there")
    add("--only", metavar="CHECK", nargs="+", default=[], help="only these checks, or groups of them as in: token chat")
    add("--timeout", metavar="TIME", default="30s", help="for all of it (default 30s)")
    add("--output", choices=("text", "json"), default="text", help="default: text")


def run(arguments: argparse.Namespace) -> int:
    """Examine and print; the exit code. Raises ValueError for a wrong option."""
    import asyncio  # noqa: PLC0415 - not for --help
    import time  # noqa: PLC0415

    from sidecar.doctor.examine import examine  # noqa: PLC0415
    from sidecar.doctor.report import as_json, as_text, verdict  # noqa: PLC0415

    began = time.perf_counter()
    told = asyncio.run(examine(_wanted(arguments), os.environ))
    seconds = time.perf_counter() - began
    sys.stdout.write(as_json(told, seconds) if arguments.output == "json" else as_text(told, seconds, _look()))
    return verdict(told)


def _wanted(arguments: argparse.Namespace) -> Wanted:
    """Raises ValueError."""
    from sidecar.doctor.setup import Wanted, address  # noqa: PLC0415

    try:
        running = None if arguments.running is None else address(arguments.running)
    except ValueError as error:
        raise ValueError(f"--running: {error}") from None
    return Wanted(
        {name: getattr(arguments, name) for name in FLAGS},
        arguments.policy,
        running,
        arguments.operator,
        _prometheus(arguments.prometheus),
        arguments.post_task,
        tuple(arguments.only),
        _seconds(arguments.timeout),
    )


def _prometheus(url: str | None) -> str | None:
    from urllib.parse import urlsplit  # noqa: PLC0415

    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ValueError("--prometheus: write http://HOST:PORT, without a user and a password")
    return url


def _seconds(text: str) -> float:
    from sidecar.policy.units import seconds  # noqa: PLC0415

    try:
        found = seconds(text)
    except ValueError as error:
        raise ValueError(f"--timeout: {error}") from None
    if not 1 <= found <= LONGEST:
        raise ValueError(f"--timeout {text}: write a time from 1s to {LONGEST:.0f}s")
    return found


def _look() -> Look:
    import shutil  # noqa: PLC0415

    from sidecar.doctor.report import Look  # noqa: PLC0415

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((100, 24)).columns if terminal or "COLUMNS" in os.environ else 100
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return Look(max(width, 60), colour=colour, plain=plain)
