"""Stand in front of the gateway: relay everything, answer chat."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.edge.app import Serving, Sidecar
    from sidecar.edge.listening import Listeners
    from sidecar.edge.settings import Settings
    from sidecar.edge.workers.supervisor import Supervisor
    from sidecar.policy.load import Loaded

MOST_WORKERS = 64
_PASSED_ON = ("gateway", "switch", "madre", "policy", "shadow", "grace", "drain_delay", "log_level")


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
        "--workers",
        metavar="N",
        type=int,
        default=1,
        help="so many processes on one port, each a whole sidecar of its own (default 1, which is enough for most)",
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
    add(
        "--allow-chaos",
        action="store_true",
        help="let the policy's chaos rules break attempts on targets, until they expire",
    )
    add("--log-level", choices=("debug", "info", "warning", "error"), default=log_level)


def run(arguments: argparse.Namespace) -> None:
    """Serve until told to stop. Raises ValueError or OSError for what the caller can mend."""
    from sidecar.cli.no_tls import speaks_tls  # noqa: PLC0415 - not for --help, and so is what follows
    from sidecar.cli.sparing import sparing  # noqa: PLC0415

    with sparing(tls=speaks_tls(os.environ)):
        from sidecar.core.value import replace  # noqa: PLC0415
        from sidecar.edge.app import Sidecar  # noqa: PLC0415
        from sidecar.edge.environment import read_environment  # noqa: PLC0415
        from sidecar.edge.outlets.log import Logging  # noqa: PLC0415
        from sidecar.edge.process import Leave, run_loop, serve  # noqa: PLC0415
        from sidecar.edge.reload import Source  # noqa: PLC0415
        from sidecar.edge.settings import renew, resolve  # noqa: PLC0415
        from sidecar.edge.workers.assignment import Assignment  # noqa: PLC0415

    assignment = Assignment.taken(os.environ)
    if not 1 <= arguments.workers <= MOST_WORKERS:
        raise ValueError(f"--workers: {arguments.workers} is no number of processes: 1 to {MOST_WORKERS}")
    leave = Leave(_time("--grace", arguments.grace), _time("--drain-delay", arguments.drain_delay), arguments.takeover)

    def read() -> Source:
        loaded = load_policy(arguments.policy)
        renewed = renew(settings, vars(arguments), read_environment(os.environ), os.environ, loaded)
        return Source(renewed.snapshot, renewed.files, renewed.mutators)

    loaded = load_policy(arguments.policy)
    settings = resolve(vars(arguments), read_environment(os.environ), os.environ, loaded)
    settings = replace(settings, allow_chaos=arguments.allow_chaos)
    logging = Logging(arguments.log_level, worker=assignment.number if assignment else None)

    def make(settings: Settings, listeners: Listeners) -> Sidecar | Supervisor:
        if arguments.workers == 1:
            return Sidecar(settings, logging, read, listeners)
        from sidecar.edge.workers.supervisor import Supervisor  # noqa: PLC0415 - most have none

        return Supervisor(settings, logging, partial(_worker, arguments, settings), arguments.workers, listeners)

    try:
        if assignment:
            from sidecar.edge.workers.worker import work  # noqa: PLC0415 - as is this

            run_loop(work(settings, logging, read, leave, assignment))
        else:
            run_loop(serve(settings, logging, make, leave))
    finally:
        logging.close()


def _worker(arguments: argparse.Namespace, settings: Settings, serving: Serving, number: int) -> list[str]:
    """The command that starts one worker: what was said to us, with the ports as they are and a journal of its own."""
    said = {name: getattr(arguments, name) for name in _PASSED_ON}
    said |= {"listen": serving.listen, "admin": serving.admin}
    said["journal"] = settings.journal and settings.journal / f"worker-{number}"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in said.items() if value is not None]
    chaos = ["--allow-chaos"] if arguments.allow_chaos else []
    # -P: what lies where we were started is no package of ours.
    return [sys.executable, "-P", "-m", "sidecar", "serve", *flags, *chaos]


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
