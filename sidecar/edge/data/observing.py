"""Chat that is relayed and looked at on its way (``mode: shadow``): nothing passes otherwise than if nobody looked.

``Observing`` stands where the relay stands and is one, to the door; to the relay each of its chats is a door. Everything is passed
on as it comes, then shown to a ``Witness``. The door and the relay are those of every other mode and know nothing of it, so that nothing
of it can be seen on the wire, and it costs nothing where nobody observes.
"""

from __future__ import annotations

from sidecar.edge.data.exchange import Client, Way
from sidecar.edge.data.service import Relay
from sidecar.edge.data.witness import Watch, Witness
from sidecar.wire.heads import Heads
from sidecar.wire.request import Request, route_of
from sidecar.wire.target import Routes


class Observing:
    """The relay of one snapshot under ``mode: shadow``."""

    def __init__(self, relay: Relay, watch: Watch) -> None:
        policy = watch.guard.policy
        self._relay = relay
        self._watch = watch
        told_apart = policy.intercept.commands == "intercept"
        self._routes = Routes(policy.intercept.paths, policy.relay.deny, told_apart=told_apart)

    @property
    def unanswered(self) -> int:
        return self._relay.unanswered

    def tick(self, now: float, date: bytes) -> None:
        self._relay.tick(now, date)

    def open(self, client: Client, request: Request, head: bytes, heads: Heads) -> Way:
        route = route_of(request.method, request.target.partition(b"?")[0], self._routes)
        if route == "other":
            return self._relay.open(client, request, head, heads)
        seen = Witness(self._watch, request, route, told_peer(request, head), heads)
        near = _Near(client, seen)
        near.far = _Far(self._relay.open(near, request, head, heads), seen)
        seen.sent(b"")
        return near.far


class _Near:
    """Who asks, as the relay sees it."""

    far: _Far

    def __init__(self, client: Client, seen: Witness) -> None:
        self._client = client
        self._seen = seen
        self.hold = client.hold
        self.release = client.release
        self.through = client.through
        self.finished = client.finished

    @property
    def closing(self) -> bool:
        return self._client.closing

    @property
    def complete(self) -> bool:
        return self._client.complete

    def write(self, data: bytes) -> None:
        self._client.write(data)
        self._seen.came(data)

    def switched(self) -> None:
        self._client.switched()
        self._seen.over("unreadable")

    def answered(self, *, close: bool) -> None:
        self._client.answered(close=close)
        self._seen.over(None)

    def failed(self, status: int, error: str) -> None:
        self._client.failed(status, error)
        self._seen.over("error", status)

    def cut(self, *, plain: bool) -> None:
        self._client.cut(plain=plain)
        self._seen.over("error")

    def moved(self, exchange: Way) -> None:
        self.far.exchange = exchange
        self._client.moved(self.far)


class _Far:
    """The exchange, as the door sees it. ``exchange`` is another one after a request went out once more."""

    def __init__(self, exchange: Way, seen: Witness) -> None:
        self.exchange = exchange
        self._seen = seen

    @property
    def answering(self) -> bool:
        return self.exchange.answering

    @property
    def paused(self) -> bool:
        return self.exchange.paused

    @property
    def plain(self) -> bool:
        return self.exchange.plain

    @property
    def progress(self) -> int:
        return self.exchange.progress

    def send(self, data: bytes) -> None:
        self.exchange.send(data)
        self._seen.sent(data)

    def hold(self) -> None:
        self.exchange.hold()

    def release(self) -> None:
        self.exchange.release()

    def end(self) -> None:
        self.exchange.end()

    def abandon(self, error: str | None = "client-gone") -> None:
        self.exchange.abandon(error)
        self._seen.over("client_gone")

    def part(self) -> None:
        self.exchange.part()
        self._seen.over("client_gone")

    def timed_out(self) -> None:
        self.exchange.timed_out()


def told_peer(request: Request, head: bytes) -> str:
    """The client's address as the gateway is told it: what a trusted proxy says of it, else the connection's."""
    start = len(request.before)
    addresses = head[start : head.index(b"\r\n", start)].split(b",")
    said = addresses[-2].strip() if len(addresses) > 1 else b""
    return (said or addresses[-1].strip()).decode("latin-1")
