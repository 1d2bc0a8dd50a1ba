"""Try everything on this machine: a small VX11 on loopback that breaks on demand, and the sidecar in front of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from sidecar.cli.serve import add_common_options, load_policy

if TYPE_CHECKING:
    from sidecar.edge.outlets.log import Logging
    from sidecar.edge.reload import Source
    from sidecar.edge.settings import Settings
    from sidecar.lab.town import Lab

SECONDS = "LAB_SECONDS"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--fault",
        action="append",
        default=[],
        metavar="SERVICE=FAULT",
        help="start broken, as in switch=hang; repeatable",
    )
    add("--listen", metavar="HOST:PORT", default="127.0.0.1:8000", help="data port of the sidecar (%(default)s)")
    add("--admin", metavar="HOST:PORT", default="127.0.0.1:9180", help="admin port of the sidecar (%(default)s)")
    add("--control", metavar="PORT", type=_port, default=8019, help="control port of the lab (%(default)s)")
    add_common_options(parser, log_level="warning")


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 (chosen and printed) to 65535")
    return port


def run(arguments: argparse.Namespace) -> None:
    """Run until Ctrl-C, or for LAB_SECONDS. Raises ValueError or OSError for what the caller can mend."""
    from sidecar.edge.outlets.log import Logging  # noqa: PLC0415 - not for --help
    from sidecar.edge.process import run_loop  # noqa: PLC0415

    seconds = _seconds(os.environ.get(SECONDS))
    logging = Logging(arguments.log_level)
    try:
        run_loop(_show(arguments, seconds, logging))
    finally:
        logging.close()


async def _show(arguments: argparse.Namespace, seconds: float | None, logging: Logging) -> None:
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from sidecar.edge.app import Sidecar  # noqa: PLC0415
    from sidecar.edge.process import Stop, say  # noqa: PLC0415
    from sidecar.lab.tour import instructions  # noqa: PLC0415

    stop = Stop()
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(_town(arguments))
        settings = _settings(arguments, lab)
        sidecar = Sidecar(settings, logging, lambda: _source(arguments, lab, settings))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, sidecar.reload)
        await stack.enter_async_context(sidecar)
        listen, admin = sidecar.serving
        sys.stdout.write(instructions(f"http://{listen}", f"http://{admin}", lab.control_url, lab.token) + "\n")
        say({"event": "ready", "listen": str(listen), "admin": str(admin), "control": lab.control_url})
        try:
            async with asyncio.timeout(seconds):
                await stop.first.wait()
        except TimeoutError:
            pass  # LAB_SECONDS are over
        await stop.drain(sidecar)


@asynccontextmanager
async def _town(arguments: argparse.Namespace) -> AsyncIterator[Lab]:
    """The lab. Of its ports only the control port is chosen by the caller, so that is the one that may be taken."""
    from sidecar.lab.town import Lab  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        try:
            lab = await stack.enter_async_context(Lab(control_port=arguments.control, faults=tuple(arguments.fault)))
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"--control {arguments.control}") from None
        yield lab


def _settings(arguments: argparse.Namespace, lab: Lab) -> Settings:
    """The sidecar in front of this lab, whatever the environment says about another one."""
    from sidecar.edge.environment import read_environment  # noqa: PLC0415
    from sidecar.edge.settings import resolve  # noqa: PLC0415

    environ = _environ(lab)
    return resolve(_flags(arguments, lab), read_environment(environ), environ, load_policy(arguments.policy))


def _source(arguments: argparse.Namespace, lab: Lab, settings: Settings) -> Source:
    """What a reload finds."""
    from sidecar.edge.environment import read_environment  # noqa: PLC0415
    from sidecar.edge.reload import Source  # noqa: PLC0415
    from sidecar.edge.settings import renew  # noqa: PLC0415

    environ, loaded = _environ(lab), load_policy(arguments.policy)
    renewed = renew(settings, _flags(arguments, lab), read_environment(environ), environ, loaded)
    return Source(renewed.snapshot, renewed.files, renewed.mutators)


def _environ(lab: Lab) -> dict[str, str]:
    return {"VX11_TENTACULO_LINK_TOKEN": lab.token, "VX11_SIDECAR_ADMIN_TOKEN": "lab-admin"}


def _flags(arguments: argparse.Namespace, lab: Lab) -> dict[str, str | None]:
    places = {"gateway": lab.gateway_url, "switch": lab.switch_url, "madre": lab.madre_url}
    return {"listen": arguments.listen, "admin": arguments.admin, "journal": arguments.journal, **places}


def _seconds(text: str | None) -> float | None:
    """How long to run; None for until Ctrl-C. Raises ValueError."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{SECONDS}={text!r}: write a number of seconds above 0, or leave it out to run until Ctrl-C")
    return seconds
