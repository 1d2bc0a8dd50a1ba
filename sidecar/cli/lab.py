"""Try everything on this machine: a small VX11 that breaks on demand, and the sidecar in front of it."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from sidecar.cli.serve import add_common_options, load_policy

if TYPE_CHECKING:
    from sidecar.edge.outlets.log import Logging
    from sidecar.edge.process import Stop
    from sidecar.edge.reload import Source
    from sidecar.edge.settings import Settings
    from sidecar.lab.town import Lab

SECONDS = "LAB_SECONDS"
SERVICES = ("gateway", "switch", "madre")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--fault",
        action="append",
        default=[],
        metavar="SERVICE=FAULT",
        help="start broken, as in switch=hang; repeatable",
    )
    add(
        "--seed",
        metavar="NUMBER",
        type=_seed,
        help="what is drawn for each chat (lognormal, straggling, failing) follows from it (chosen and printed)",
    )
    add("--listen", metavar="HOST:PORT", default="127.0.0.1:8000", help="data port of the sidecar (%(default)s)")
    add("--admin", metavar="HOST:PORT", default="127.0.0.1:9180", help="admin port of the sidecar (%(default)s)")
    add("--control", metavar="PORT", type=_port, default=8019, help="control port of the lab (%(default)s)")
    add(
        "--only-services",
        action="store_true",
        help="without the sidecar, for one that runs elsewhere: in another container",
    )
    add(
        "--host",
        metavar="ADDRESS",
        type=_host,
        default="127.0.0.1",
        help="IPv4 address of the lab's own ports (%(default)s); whoever reaches it may break the lab",
    )
    for name in SERVICES:
        add(
            f"--{name}-port",
            metavar="PORT",
            type=_port,
            default=0,
            help=f"port of the lab's {name} (chosen and printed)",
        )
    add_common_options(parser, log_level="warning")


def _host(text: str) -> str:
    from ipaddress import IPv4Address  # noqa: PLC0415

    try:
        return str(IPv4Address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address, as 127.0.0.1 and 0.0.0.0 are") from None


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 (chosen and printed) to 65535")
    return port


def _seed(text: str) -> int:
    from sidecar.lab.luck import LARGEST  # noqa: PLC0415

    seed = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= seed <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: write a whole number from 0 to {LARGEST}")
    return seed


def run(arguments: argparse.Namespace) -> None:
    """Run until Ctrl-C, or for LAB_SECONDS. Raises ValueError or OSError for what the caller can mend."""
    from sidecar.edge.outlets.log import Logging  # noqa: PLC0415 - not for --help
    from sidecar.edge.process import run_loop  # noqa: PLC0415

    seconds = _seconds(os.environ.get(SECONDS))
    logging = Logging(arguments.log_level)
    try:
        run_loop(_play(arguments, seconds) if arguments.only_services else _show(arguments, seconds, logging))
    finally:
        logging.close()


async def _play(arguments: argparse.Namespace, seconds: float | None) -> None:
    """The services alone."""
    from sidecar.edge.process import Stop, say  # noqa: PLC0415

    stop = Stop()
    async with _town(arguments) as lab:
        say({"event": "ready", **lab.urls, "seed": lab.seed})
        await _ended(stop, seconds)


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
        say(
            {"event": "ready", "listen": str(listen), "admin": str(admin), "control": lab.control_url, "seed": lab.seed}
        )
        await _ended(stop, seconds)
        await stop.drain(sidecar)


async def _ended(stop: Stop, seconds: float | None) -> None:
    """Until somebody says so, or LAB_SECONDS are over."""
    import asyncio  # noqa: PLC0415

    try:
        async with asyncio.timeout(seconds):
            await stop.first.wait()
    except TimeoutError:
        pass


@asynccontextmanager
async def _town(arguments: argparse.Namespace) -> AsyncIterator[Lab]:
    """The lab; what cannot be had is said as the option that asks for it."""
    from sidecar.lab.town import Lab  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        try:
            lab = await stack.enter_async_context(
                Lab(
                    host=arguments.host,
                    gateway_port=arguments.gateway_port,
                    switch_port=arguments.switch_port,
                    madre_port=arguments.madre_port,
                    control_port=arguments.control,
                    faults=tuple(arguments.fault),
                    seed=arguments.seed,
                )
            )
        except OSError as error:
            raise OSError(error.errno, error.strerror, _option(arguments, error)) from None
        yield lab


def _option(arguments: argparse.Namespace, error: OSError) -> str:
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {arguments.host}"
    if error.filename == "control":
        return f"--control {arguments.control}"
    return f"--{error.filename}-port {vars(arguments)[f'{error.filename}_port']}"


def _settings(arguments: argparse.Namespace, lab: Lab) -> Settings:
    """The sidecar in front of this lab, whatever the environment says about another one."""
    from sidecar.core.value import replace  # noqa: PLC0415
    from sidecar.edge.environment import read_environment  # noqa: PLC0415
    from sidecar.edge.settings import resolve  # noqa: PLC0415

    environ = _environ(lab)
    settings = resolve(_flags(arguments, lab), read_environment(environ), environ, load_policy(arguments.policy))
    return replace(settings, allow_chaos=arguments.allow_chaos)


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
    return {
        "listen": arguments.listen,
        "admin": arguments.admin,
        "journal": arguments.journal,
        "shadow": arguments.shadow,
        **places,
    }


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
