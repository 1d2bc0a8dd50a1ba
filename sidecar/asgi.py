"""The sidecar inside the gateway: ``ChatSidecar`` goes around an ASGI application and answers its chats.

    server -> edge/asgi/front -> the application                       (everything that is not chat, with the server's own objects)
                              -> runtime: chat -> engine, upstream -> switch, madre

The second composition root, beside ``edge/app``: the same runtime under the same policies, behind somebody else's server. What that server
does anyway is not done here: no listening sockets, no relay, no admin port, no signals, and the application's logging and garbage
collector are left as they are.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from sidecar.core.value import replace
from sidecar.edge.admin.status import Readiness, Watched
from sidecar.edge.asgi.front import Behind, Front
from sidecar.edge.asgi.lifespan import Lifespan
from sidecar.edge.asgi.protocol import App, Receive, Saying, Scope, Send
from sidecar.edge.asgi.terms import Terms, terms
from sidecar.edge.environment import read_environment
from sidecar.edge.outlets.log import Logging
from sidecar.edge.outlets.telemetry.mounted import Exposed, mounted
from sidecar.edge.reload import Source, signature
from sidecar.edge.runtime import Runtime, now
from sidecar.edge.settings import renew, take_basis
from sidecar.edge.snapshot import Snapshot
from sidecar.policy.load import Loaded, load, parse
from sidecar.wire.answer import JSON, detailed

__all__ = ["ChatSidecar", "OtherLoopError"]


class OtherLoopError(RuntimeError):
    """A chat came on another event loop than the one that the sidecar lives on: there is one loop per process."""


class _Place(NamedTuple):
    """Where we stand, for the status."""

    snapshot: Snapshot
    gateway: str = "the application itself"
    exposed: bool = False


class _Living(NamedTuple):
    """What there is of us while we live."""

    runtime: Runtime
    behind: Behind
    loop: asyncio.AbstractEventLoop
    scrape: Exposed


class ChatSidecar:
    """An ASGI application around ``app``. It lives as the server's lifespan says, or else from the first chat to the loop's end.

    One process has one event loop and one of these; with several workers there are as many engines, each with limits, breakers and
    metrics of its own.
    """

    def __init__(
        self,
        app: App,
        *,
        policy: str | Path | Loaded | None = None,
        switch: str | None = None,
        madre: str | None = None,
        journal: str | None = None,
        shadow: str | None = None,
        environ: Mapping[str, str] | None = None,
        root_path: str | None = None,
        log_level: str = "info",
        allow_chaos: bool = False,
    ) -> None:
        """Every option is that of ``sidecar serve``, and what is not given is found where that finds it.

        ``policy`` is a file or directory, or what ``sidecar.policy.load.parse`` makes of a text; files are watched. ``environ`` is
        where tokens and addresses are read, ``os.environ`` unless given. ``root_path`` is the prefix the application itself strips
        from paths; taken from FastAPI's attribute of that name unless given.

        Raises ValueError, in words for who writes this call: a policy with mistakes, no token, no address, ``mode: shadow``.
        """
        self._app = app
        self._policy = policy
        self._flags = {"switch": switch, "madre": madre, "journal": journal, "shadow": shadow}
        self._environ = os.environ if environ is None else environ
        self._log_level = log_level
        loaded = self._load()
        said = read_environment(self._environ)
        self._basis = replace(take_basis(self._flags, said, self._environ, loaded), allow_chaos=allow_chaos)
        self._seen = signature(self._basis.files)
        self._root: str = getattr(app, "root_path", "") if root_path is None else root_path
        self._front = Front(app, self._terms(self._basis.snapshot), self._ready, self._root, self._failed)
        self._life: AbstractAsyncContextManager[None] | None = None
        self._living: _Living | None = None
        self.metrics = Metrics(lambda: self._living and self._living.scrape)
        """An ASGI application with our metrics, to be mounted or routed to wherever the gateway wants them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http" and not self._front.passes(scope):
            await self._front(scope, receive, send)
        elif kind == "websocket" and self._front.closed(scope):
            await self._front.turn_away(scope, send)
        elif kind == "lifespan":
            await Lifespan(self._begin, self.aclose)(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    # -- for the application --------------------------------------------------------------------------------------

    def readiness(self) -> Readiness:
        """Why chats are not answered (``blocked_by``, None: they are), and what else an operator should know."""
        living = self._living
        return Readiness("starting") if living is None else living.runtime.status.readiness(self._watched(living), None)

    def state(self) -> dict[str, object]:
        """Everything an operator asks first, as JSON: what ``/state`` of the admin port tells."""
        living = self._living
        return {"status": "starting"} if living is None else living.runtime.status.state(self._watched(living), None)

    def reload(self) -> None:
        """Read policy and token files again at once; what cannot be used changes nothing and is said. Files are watched anyway."""
        if self._living is not None:
            self._living.runtime.reload()

    async def aclose(self) -> None:
        """End whatever runs, on the loop it runs on. A server that speaks lifespan does this."""
        life, self._life = self._life, None
        if life is not None:
            await life.__aexit__(None, None, None)

    # -- living ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Live from now on, if we do not yet. Does not wait for anything, so nobody can come in between."""
        if self._life is None:
            life = self._lived()
            await life.__aenter__()
            self._life = life

    async def _ready(self) -> Behind:
        """What answers. Where no lifespan has begun us, this does. Raises what beginning raises, or OtherLoopError."""
        await self._begin()
        living = self._living
        assert living is not None  # noqa: S101 - just begun
        if living.loop is not asyncio.get_running_loop():
            raise OtherLoopError("the chat sidecar lives on another event loop")
        return living.behind

    @asynccontextmanager
    async def _lived(self) -> AsyncIterator[None]:
        """One life. Where nobody ends it, the loop does: it closes the generators that were left open, and this is one."""
        basis, logging_ = self._basis, Logging(self._log_level, libraries=False)
        async with AsyncExitStack() as stack:
            stack.callback(logging_.close)
            runtime = Runtime(basis, logging_, self._read, self._prepare)
            runtime.build(stack)
            self._front.terms = self._terms(basis.snapshot)
            runtime.telemetry.watch_port(self._front.__len__, self._front.under_way)
            behind = Behind(runtime.chats, runtime.emit, now, logging_.log)
            scrape = mounted(runtime.telemetry.registry)
            self._living = _Living(runtime, behind, asyncio.get_running_loop(), scrape)
            stack.callback(self._ended)  # first of all, so that nobody is handed what is being taken down
            runtime.begin()
            if signature(basis.files) != self._seen:  # changed since they were read: nobody has watched them yet
                runtime.reload()
            runtime.watch()
            runtime.status.blocked_by = None
            if basis.auth_off:
                logging_.log.warning("auth_off", note="authentication is off: everybody may chat")
            logging_.log.info("ready", inside=True)
            yield

    def _ended(self) -> None:
        self._life = self._living = None

    def _failed(self, error: Exception) -> None:
        """A fault of ours was answered with a 500. Without its text, which may quote the chat."""
        if self._living is not None:
            self._living.behind.log.error("chat_crashed", error=type(error).__name__)
        else:
            cannot = isinstance(error, ValueError | OSError)
            logging.getLogger("sidecar").error("chat cannot be answered: %s", error if cannot else type(error).__name__)

    # -- what we live by ------------------------------------------------------------------------------------------

    def _load(self) -> Loaded:
        policy = self._policy
        if policy is None:
            return parse("", "built-in")
        return policy if isinstance(policy, Loaded) else load(Path(policy))

    def _read(self) -> Source:
        """What a reload finds."""
        said = read_environment(self._environ)
        renewed = renew(self._basis, self._flags, said, self._environ, self._load())
        return Source(renewed.snapshot, renewed.files, renewed.mutators)

    def _terms(self, snapshot: Snapshot) -> Terms:
        return terms(snapshot, self._root)

    def _prepare(self, source: Source) -> Callable[[], None]:
        """The front's share in a reload."""
        prepared = self._terms(source.snapshot)

        def put() -> None:
            self._front.terms = prepared

        return put

    def _watched(self, living: _Living) -> Watched:
        return living.runtime.watched(_Place(self._basis.snapshot), self._front)


class Metrics:
    """Answers scrapes while the sidecar lives; 503 before and after."""

    def __init__(self, scrape: Callable[[], Exposed | None]) -> None:
        self._scrape = scrape

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head_only = scope["method"] == "HEAD"
        if scope["method"] not in ("GET", "HEAD"):
            await Saying(send, head_only=head_only).say(405, JSON | {"Allow": "GET, HEAD"}, detailed("method"))
        elif (scrape := self._scrape()) is not None:
            await scrape(scope, receive, send)
        else:
            await Saying(send, head_only=head_only).say(503, JSON, detailed("starting"))
