"""The sidecar beside other proxies, in one table: what a request, an event and a message cost, latency, memory, start, bodies.

Every proxy runs on a core of its own, load and upstream on another; rounds take turns, and what is told are medians of
ratios within a round. Peers that pip brings go into an environment of their own; who cannot be had is left out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import parts
from benchmarks.proc import raise_descriptor_limit
from benchmarks.proxies import cores, growth, report
from benchmarks.proxies.install import UnavailableError, described, interpreter
from benchmarks.proxies.load import CHATS, CONNECTIONS
from benchmarks.proxies.peers import NGINX, PEERS, SIDECAR, Peer
from benchmarks.proxies.rounds import ROWS, Rounds


def main(given: list[str] | None = None) -> int:
    arguments = parse(given)
    descriptors = raise_descriptor_limit()
    peers, notes = available(arguments.only, arguments.python, litellm=arguments.litellm)
    notes.append(f"The sidecar, and whoever else is in Python, runs on {described(arguments.python)}.")
    if descriptors < growth.IDLE + 2_000:
        notes.append(f"Idle connections: left out, a process may open but {descriptors} files.")
    where = cores.found()
    with tempfile.TemporaryDirectory(prefix="proxies-") as directory:
        rounds = Rounds(where, Path(directory), arguments.rounds, arguments.seconds, arguments.rows)
        rounds.run(peers)
    return show(rounds, [peer.name for peer, _ in peers], [str(where), *notes, *rounds.notes], gate=arguments.gate)


def parse(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "benchmarks.proxies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [peer.name for peer in PEERS]
    parser.add_argument("--rounds", type=_positive, default=5, help="of each (%(default)s)")
    parser.add_argument("--seconds", type=_positive, default=2, help="of a round of load (%(default)s)")
    parser.add_argument("--only", type=_of(names), default=names, metavar="NAME,…", help=", ".join(names))
    parser.add_argument("--rows", type=_of(ROWS), default=list(ROWS), metavar="NAME,…", help=", ".join(ROWS))
    parser.add_argument("--litellm", action="store_true", help="with LiteLLM, whose packages take long to install")
    parser.add_argument(
        "--python", default=interpreter(), metavar="PATH", help="for whoever is in Python, ours included (%(default)s)"
    )
    parser.add_argument("--gate", action="store_true", help="exit status 1 if a bar is missed")
    return parser.parse_args(given)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


class _of:  # noqa: N801 - a type, as argparse says it
    """Names with commas between them, in the order of all of them."""

    def __init__(self, names: list[str] | tuple[str, ...]) -> None:
        self._names = names

    def __call__(self, text: str) -> list[str]:
        asked = set(text.split(","))
        if unknown := asked - set(self._names):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: none of {', '.join(self._names)}")
        return [name for name in self._names if name in asked]


def available(only: list[str], python: str, *, litellm: bool) -> tuple[list[tuple[Peer, str]], list[str]]:
    """Who takes part, with the program of each; and a line for everybody who was asked for and does not."""
    peers, notes = [], []
    for peer in PEERS:
        if peer.name not in only:
            continue
        if peer.heavy and not litellm:
            notes.append(f"{peer.name}: left out, it is heavy; --{peer.name} installs it and takes it in.")
            continue
        try:
            peers.append((peer, peer.find(python)))
        except UnavailableError as error:
            notes.append(f"{peer.name}: left out, {error}.")
    if NGINX not in [peer.name for peer, _ in peers]:
        notes.append("Without nginx there is nothing that processor time is relative to.")
    return peers, notes


def show(rounds: Rounds, proxies: list[str], notes: list[str], *, gate: bool) -> int:
    """Exit status: 1 only if bars are gates and one is missed."""
    figures = rounds.figures
    parts.table(*report.table(figures, proxies))
    if absolute := report.reference(figures):
        print(
            "\nrelay to websocket: processor time relative to nginx's in the same round; least and most of all rounds in brackets."
        )
        print(absolute)
        print(
            f"{CONNECTIONS} connections; {CHATS} for chat, which is as many as the built-in policy lets the switch have and wait for."
        )
    if (grown := growth.table(figures))[1]:
        print("\nMicroseconds of processor time a request, by connections")
        parts.table(*grown)
    print()
    for note in [*notes, *report.shortfalls(figures, proxies)]:
        print(note)
    if SIDECAR not in proxies:
        return 0
    print()
    bars = report.bars(figures)
    for bar in bars:
        print(bar)
    return int(gate and any(bar.held is False for bar in bars))


if __name__ == "__main__":
    sys.exit(main())
