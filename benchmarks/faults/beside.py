"""The same faults, and whoever else might stand there:
``python -m benchmarks.faults.beside [--chats 6] [--litellm] [--peers NAME…] [FAULT…]``.

Each peer is set up as well as its documentation allows (``benchmarks/peers/faults-*``, ``reference.py``), with the times that the
sidecar has: 0.4 s an attempt, a second try elsewhere. Who cannot be had is left out, with a line. A fresh process for each fault; chats
one after the other; the client leaves after the deadline. Told of every chat is what a user would say of it, and not what the peer thinks.
LiteLLM is asked, and asks, by OpenAI's protocol, and takes half a minute to start each time.

    answered   a whole answer with a text, in time, from the switch or from madre
    marked     an answer in time that says that it is degraded: the sidecar's or the reference's own text
    broken     a 200 that is no answer: somebody's error, half a body, no JSON
    failed     an error in time
    late       nothing before the deadline
    twice      chats that one target got more than once, though nobody knows that it had not carried them out
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import aiohttp

from benchmarks.faults.catalogue import FAULTS, Fault, alone
from benchmarks.faults.live import SLACK, Faulty
from benchmarks.faults.target import Target
from benchmarks.faults.virtual import PATIENCE, POLICY
from benchmarks.parts import table
from benchmarks.proxies import install
from benchmarks.proxies.peers import PEERS as OTHERS
from benchmarks.proxies.peers import SIDECAR, Chat, Peer, serving
from benchmarks.proxies.process import NotStartedError
from benchmarks.proxies.upstream import Upstream

CHAT = Chat()
OUTCOMES = ("answered", "marked", "broken", "failed", "late")
_KNOWN = {peer.name: peer for peer in OTHERS}
_HOMES = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), "{DIRECTORY}")
_TARGETS = {"SWITCH": "{SWITCH}", "MADRE": "{MADRE}"}


def _peer(name: str, *command: str, find: str = "", templates: Sequence[str] = ()) -> Peer:
    """One that is found as ``find``, or as it is called, in the other benches, and answers ``/health`` as soon as it serves."""
    made = Peer(name, _KNOWN[find or name].find, ("{PROGRAM}", *command), tuple(templates), _HOMES | _TARGETS)
    return made._replace(alive="/health")


PEERS = (
    _peer(
        SIDECAR, "-m", "sidecar", "serve", "--listen=127.0.0.1:{LISTEN}", "--admin=127.0.0.1:0", "--gateway=127.0.0.1:{GATEWAY}",
        "--switch=127.0.0.1:{SWITCH}", "--madre=127.0.0.1:{MADRE}", "--policy={DIRECTORY}/policy.yaml", "--log-level=error",
    )._replace(find=lambda _: sys.executable),
    _peer(
        "envoy", "--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", "{DIRECTORY}/faults-envoy.yaml",
        templates=["faults-envoy.yaml.tmpl"],
    ),
    _peer("haproxy", "-db", "-f", "{DIRECTORY}/faults-haproxy.cfg", templates=["faults-haproxy.cfg.tmpl"]),
    _peer("caddy", "run", "--adapter", "caddyfile", "--config", "{DIRECTORY}/faults-caddy", templates=["faults-caddy.tmpl"]),
    _peer(
        "traefik", "--configFile={DIRECTORY}/faults-traefik.yaml",
        templates=["faults-traefik.yaml.tmpl", "faults-traefik-routes.yaml.tmpl"],
    ),
    _peer(
        "reference", "--app-dir", ".", "benchmarks.faults.reference:app", "--host", "127.0.0.1", "--port", "{LISTEN}",
        "--log-level", "error", find="fastapi",
    ),
    _KNOWN["litellm"]._replace(
        command=("{PROGRAM}", "--host", "127.0.0.1", "--port", "{LISTEN}", "--config", "{DIRECTORY}/faults-litellm.yaml"),
        templates=("faults-litellm.yaml.tmpl",),
    ),
)  # fmt: skip


def program_of(peer: Peer) -> str | None:
    """Its program, installed now unless it was before; None, with a line that says why, where it cannot be had."""
    try:
        return peer.find(install.interpreter())
    except install.UnavailableError as error:
        print(f"{peer.name}: left out, {error}", file=sys.stderr)
        return None


class Told(NamedTuple):
    outcomes: Counter[str]
    asked: int
    twice: int


class _NoNames:
    """Peers are told addresses, so that no name can be unknown."""

    unknown: ClassVar[set[str]] = set()


def met() -> list[Fault]:
    """Faults that need no name."""
    return [fault for fault in FAULTS if not any(fault.comes(turn).dns for turn in range(8))]


@contextlib.asynccontextmanager
async def standing(peer: Peer, program: str, targets: Mapping[str, Target]) -> AsyncIterator[str]:
    """Where it is asked for chats. What is no chat goes to madre, who is always well for that."""
    upstream = Upstream(targets["madre"].port, targets["switch"].port, targets["madre"].port)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        (Path(name) / "policy.yaml").write_text(POLICY)
        # Beside the targets, which are on this loop.
        place = await asyncio.to_thread(stack.enter_context, serving(peer, program, upstream, None, Path(name)))
        try:
            yield f"http://127.0.0.1:{place.port}{peer.chat.path}"
        finally:
            await asyncio.to_thread(stack.close)


async def play(peer: Peer, program: str, fault: Fault, chats: int) -> Told:
    outcomes = Counter[str]()
    async with Target("switch") as switch, Target("madre") as madre:
        targets = {"switch": switch, "madre": madre}
        faulty = {role: Faulty(targets[role], of, _NoNames()) for role, of in alone(fault).items()}  # type: ignore[arg-type]
        async with standing(peer, program, targets) as url, aiohttp.ClientSession() as client:
            for _ in range(chats):
                for role, each in faulty.items():
                    await each.prepare(len(targets[role].asked))
                outcomes[await chat(client, url, fault.leaves, peer.chat)] += 1
        asked = sum(len(target.asked) for target in targets.values())
        twice = sum(many > 1 for target in targets.values() for many in Counter(target.asked).values())
    return Told(outcomes, asked, twice)


async def chat(client: aiohttp.ClientSession, url: str, leaves: float | None, asks: Chat = CHAT) -> str:
    """What a user would say of it."""
    text, (field, _, credential) = f"hola {uuid.uuid4()}", asks.credentials.partition(": ")
    body: dict[str, object] = {"message": text, "session_id": str(uuid.uuid4())}
    if asks.path != CHAT.path:
        body = {"model": "chat", "messages": [{"role": "user", "content": text}]}
    limit = aiohttp.ClientTimeout(total=leaves or PATIENCE + SLACK)
    try:
        async with client.post(url, json=body, headers={field: credential}, timeout=limit) as answer:
            content = await answer.read()
    except TimeoutError:
        return "left" if leaves else "late"
    except aiohttp.ClientError:
        return "failed"
    if answer.status != 200:
        return "failed"
    try:
        told = json.loads(content)
        text = told.get("response") or told.get("reply") or told["choices"][0]["message"]["content"]
    except (ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return "broken"
    if not text or str(told.get("status")).lower() in ("error", "partial", "failed"):
        return "broken"
    own = told.get("provider") == "local" and told.get("degraded") is True
    return "marked" if own or text == "degraded" else "answered"


def measure(
    peers: Sequence[tuple[Peer, str]], faults: Sequence[Fault], chats: int
) -> tuple[list[list[object]], dict[str, dict[str, str]]]:
    """Rows by peer, and for each fault what it came to most."""
    rows: list[list[object]] = []
    each: dict[str, dict[str, str]] = {fault.name: {} for fault in faults}
    for peer, program in peers:
        total, asked, twice, began = Counter[str](), 0, 0, time.monotonic()
        for fault in faults:
            found = asyncio.run(play(peer, program, fault, chats))
            total += found.outcomes
            asked += found.asked
            twice += found.twice
            each[fault.name][peer.name] = _word(found)
        many = total.total() - total["left"]
        shares = [f"{total[outcome] / many:.1%}" for outcome in OUTCOMES]
        rows.append([peer.name, many, *shares, f"{asked / total.total():.2f}", twice])
        print(f"{peer.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return rows, each


def _word(found: Told) -> str:
    """All of one kind, or how many of each."""
    if len(found.outcomes) == 1:
        return next(iter(found.outcomes)) + ("*" if found.twice else "")
    return " ".join(f"{many} {what}" for what, many in found.outcomes.most_common()) + ("*" if found.twice else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="none: all that need no name")
    parser.add_argument("--chats", type=int, default=6, help="with each fault, one after the other")
    usual = [peer.name for peer in PEERS if not peer.heavy]
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in PEERS], default=usual)
    parser.add_argument("--litellm", action="store_true", help="with LiteLLM, whose packages take long to install")
    told = parser.parse_args()
    wanted = ((peer, program_of(peer)) for peer in PEERS if peer.name in told.peers or (peer.heavy and told.litellm))
    present = [(peer, program) for peer, program in wanted if program is not None]
    faults = [fault for fault in met() if not told.faults or fault.name in told.faults]
    try:
        rows, each = measure(present, faults, told.chats)
    except NotStartedError as error:
        print(f"did not start: {error}", file=sys.stderr)
        return 1
    table(("", "chats", *OUTCOMES, "asked a chat", "twice"), rows)
    print()
    table(
        ("fault (* sent twice)", *(peer.name for peer, _ in present)),
        [[name, *(words[peer.name] for peer, _ in present)] for name, words in each.items()],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
