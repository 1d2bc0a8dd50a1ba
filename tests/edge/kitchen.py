"""What the tests of chat and of its neighbours share: a policy in a line, a kitchen with scripted targets, a peer that misbehaves."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from canary import LINK as LINK_TOKEN
from canary import TOKEN

from sidecar.core.classify import Classifier
from sidecar.core.engine import Engine
from sidecar.core.vocabulary import Attempt, ErrorKind, Outcome
from sidecar.edge.chat.contract import Answer, Question
from sidecar.edge.chat.kitchen import Kitchen
from sidecar.edge.chat.upstream import Asked
from sidecar.edge.outlets.log import Log
from sidecar.edge.outlets.sink import Sink
from sidecar.edge.snapshot import Destination, InForce, Snapshot
from sidecar.edge.token import Tokens
from sidecar.policy.model import Policy, Target


def policy(**sections: Any) -> Policy:
    """A policy that states only what its test is about."""
    return Policy.model_validate(sections)


def said(text: str = "hola", model: str = "general-7b", status: str = "ok") -> Asked:
    """A target that answered."""
    return Asked(Outcome(status=200, body={"status": status}, text=True), Answer(text, model))


def failed(error: ErrorKind = ErrorKind.RESET) -> Asked:
    return Asked(Outcome(error=error))


class Targets:
    """Stands in for ``Upstream``: each target answers with the next line of its script, the last one for ever.

    A line is an ``Asked``, an exception to raise, or a coroutine function that is given the step.
    """

    def __init__(self, **scripts: list[Any]) -> None:
        self._scripts = {name: list(lines) for name, lines in scripts.items()}
        self.asked: list[tuple[Attempt, Target, Classifier, Destination, Question]] = []
        self.power: Any = None
        self.polls: list[tuple[str, dict[str, str]]] = []
        self.health: Callable[[str], Awaitable[Outcome]] | None = None
        self.probes: list[tuple[str, float]] = []

    async def ask(
        self, step: Attempt, target: Target, classify: Classifier, destination: Destination, question: Question
    ) -> Asked:
        self.asked.append((step, target, classify, destination, question))
        lines = self._scripts.get(step.target) or [failed(ErrorKind.CONNECT)]
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        if isinstance(line, BaseException):
            raise line
        return line if isinstance(line, Asked) else await line(step)

    async def get(self, url: str, headers: dict[str, str], timeout: float) -> Any:
        self.polls.append((url, dict(headers)))
        return await self.power() if callable(self.power) else self.power

    async def probe(self, url: str, timeout: float) -> Outcome:
        self.probes.append((url, timeout))
        return Outcome(status=200) if self.health is None else await self.health(url)


class Slate:
    """A log that remembers what was written: level, event and fields of each line."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.log = Log(lambda _: None, self._write, lambda _: True)

    def _write(self, fields: dict[str, Any]) -> bytes:
        own = {name: value for name, value in fields.items() if name not in {"level", "event", "time"}}
        self.lines.append((fields["level"], fields["event"], own))
        return b""


class Taking(Sink):
    """A sink that tells ``told`` of these kinds of facts."""

    def __init__(self, told: Callable[[Any], Any], *kinds: type) -> None:
        self.takes = dict.fromkeys(kinds, (told,))


class Place:
    """A kitchen and all that is seen of it."""

    def __init__(
        self,
        rules: Policy | None = None,
        targets: Any = None,
        *,
        now: Callable[[], float] = time.monotonic,
        seed: int = 7,
    ) -> None:
        self.policy = rules or policy()
        self.targets = targets or Targets(switch=[said()])
        self.facts: list[Any] = []
        self.slate = Slate()
        destinations = {
            target.name: Destination(f"http://{target.name}.test:80", target.path or "/", LINK_TOKEN)
            for target in self.policy.ladder
        }
        self.snapshot = Snapshot(self.policy, "r1", "test", Tokens([TOKEN]), destinations)
        self.in_force = InForce(self.snapshot)
        self.engine = Engine(now(), self.policy, revision="r1", source="test", seed=seed, emit=self.emit)
        self.kitchen = Kitchen(self.engine, self.targets, self.in_force, self.emit, now, self.slate.log)

    def emit(self, fact: Any) -> None:
        self.facts.append(fact)

    def heard(self, *kinds: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kinds)]


async def until(holds: Callable[[], Any], patience: float = 3.0) -> None:
    """Wait for something that another task or the kernel does soon: there is nothing to await that would tell."""
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110 - as the docstring says
            await asyncio.sleep(0.002)


Behaviour = Callable[["Peer", bytes, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """An upstream on loopback that reads whole requests, remembers them, and does with each what ``behave`` says."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._busy: set[asyncio.Task[None]] = set()
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                self.requests.append(head + await reader.readexactly(size))
                await self._behave(self, self.requests[-1], writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.close()


def answering(data: bytes, *, then: str = "keep") -> Behaviour:
    """Write ``data``, then ``keep`` the connection, ``close`` or ``reset`` it."""

    async def behave(_: Peer, __: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if then == "reset":
            await writer.drain()
            reset(writer)
        elif then == "close":
            writer.close()

    return behave


def reset(writer: asyncio.StreamWriter) -> None:
    """Lingering for zero seconds makes the kernel say RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def full() -> Iterator[int]:
    """A port where connections do not come about: the backlog of 0 holds one, or two, and these are there; then SYNs are dropped."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filler in (first, second):
            filler.settimeout(0)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def http(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
