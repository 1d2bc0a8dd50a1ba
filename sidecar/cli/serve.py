"""Stand in front of the gateway: relay everything, answer chat."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.policy.load import Loaded


def add_options(parser: argparse.ArgumentParser) -> None:
    add_place_options(parser)
    add = parser.add_argument
    add(
        "--grace",
        metavar="TIME",
        default="8s",
        help="on SIGTERM: what is under way may take so long (default 8s: docker kills after ten)",
    )
    add(
        "--drain-delay",
        metavar="TIME",
        default="0s",
        help="before that: unready, but connections are still taken (default 0s)",
    )
    add(
        "--takeover",
        metavar="PATH",
        type=Path,
        help="Unix socket: started again with the same path, a new process takes the ports over, and no connection is refused",
    )
    add_common_options(parser, log_level="info")


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Where everything is: for ``serve``, and for ``doctor``, which looks there."""
    add = parser.add_argument
    add("--listen", metavar="HOST:PORT", help="data port (default 127.0.0.1:8000; serve: port 0 is chosen and printed)")
    add("--admin", metavar="HOST:PORT", help="admin port (default 127.0.0.1:9180)")
    add("--gateway", metavar="HOST:PORT", help="where the gateway is now (default 127.0.0.1:8010)")
    add("--switch", metavar="HOST:PORT", help="default 127.0.0.1:8002")
    add("--madre", metavar="HOST:PORT", help="default 127.0.0.1:8001")


def add_common_options(parser: argparse.ArgumentParser, *, log_level: str) -> None:
    """What ``serve`` and ``lab`` have in common."""
    add = parser.add_argument
    add(
        "--policy",
        metavar="FILE|DIR",
        type=Path,
        help="policy file, or a directory with a policy.yaml; default: built in",
    )
    add(
        "--shadow",
        metavar="FILE|DIR",
        help="candidate policy: runs beside the one in force, asks nobody, and says what it would have made of the chats",
    )
    add("--journal", metavar="DIR", help="write the inputs of every decision there; default: not written")
    add("--log-level", choices=("debug", "info", "warning", "error"), default=log_level)


def run(arguments: argparse.Namespace) -> None:
    """Serve until told to stop. Raises ValueError or OSError for what the caller can mend."""
    from sidecar.cli.sparing import sparing  # noqa: PLC0415 - not for --help, and so is what follows

    with sparing():
        from sidecar.edge.environment import read_environment  # noqa: PLC0415
        from sidecar.edge.outlets.log import Logging  # noqa: PLC0415
        from sidecar.edge.process import Leave, run_loop, serve  # noqa: PLC0415
        from sidecar.edge.reload import Source  # noqa: PLC0415
        from sidecar.edge.settings import renew, resolve  # noqa: PLC0415

    leave = Leave(_time("--grace", arguments.grace), _time("--drain-delay", arguments.drain_delay), arguments.takeover)

    def read() -> Source:
        loaded = load_policy(arguments.policy)
        renewed = renew(settings, vars(arguments), read_environment(os.environ), os.environ, loaded)
        return Source(renewed.snapshot, renewed.files, renewed.mutators)

    loaded = load_policy(arguments.policy)
    settings = resolve(vars(arguments), read_environment(os.environ), os.environ, loaded)
    logging = Logging(arguments.log_level)
    try:
        run_loop(serve(settings, logging, read, leave))
    finally:
        logging.close()


def _time(flag: str, text: str) -> float:
    """Raises ValueError."""
    from sidecar.policy.units import seconds  # noqa: PLC0415

    try:
        return seconds(text)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None


def load_policy(path: Path | None) -> Loaded:
    """The policy at ``path``, or the built-in one. Raises PolicyError."""
    from sidecar.policy.load import load, parse  # noqa: PLC0415

    return parse("", "built-in") if path is None else load(path)
