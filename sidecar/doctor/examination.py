"""What the checks share: the set-up, the machine, and the answers to questions that several of them need, each asked once."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from sidecar.doctor.asking import Client, Heard
from sidecar.doctor.host import Host
from sidecar.doctor.setup import OPERATOR, Setup, Wanted
from sidecar.edge.chat.reply import NAME
from sidecar.edge.settings import Address, Settings
from sidecar.policy.model import Policy, Target

_T = TypeVar("_T")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to connect to what listens everywhere
_PSEUDONYM = re.compile(rf"{NAME}-[0-9a-f]{{8}}")
_LONGEST_QUOTE = 60


class Service(NamedTuple):
    """Somebody behind or beside us. ``stated`` is where its address can be corrected."""

    name: str
    url: str
    token: str | None
    stated: str

    @property
    def place(self) -> str:
        return self.url.removeprefix("http://")


class Examination:
    """One run. End it with ``close``: questions may still be under way."""

    def __init__(self, wanted: Wanted, setup: Setup, host: Host, client: Client) -> None:
        self.wanted, self.setup, self.host, self.client = wanted, setup, host, client
        self.turn = asyncio.Lock()
        """Held by whoever chats: the switch answers one at a time, and of two at once each would find it slow."""
        self.correlation_id = f"doctor-{secrets.token_hex(8)}"
        self.heard: list[tuple[str, Heard]] = []
        """Answers with the name of the service that gave them."""
        self._asked: dict[str, asyncio.Task[Any]] = {}

    async def close(self) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def once(self, key: str, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """What ``make`` comes to, made by whoever asks first."""
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.get_running_loop().create_task(make())
        found: _T = await asyncio.shield(task)
        return found

    # -- what is there ------------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        return self.setup.loaded.policy

    @property
    def settings(self) -> Settings:
        """Only for checks that need settings."""
        assert self.setup.settings is not None  # noqa: S101 - see the docstring
        return self.setup.settings

    def service(self, name: str) -> Service | None:
        """The gateway, switch, madre or operator backend; None for one that is not asked, or not known."""
        link = self.setup.said.link_token
        if name == "operator":
            place = self.setup.operator
            return Service(name, f"http://{place}", link, f"--operator, {OPERATOR}") if place else None
        if name == "gateway":
            return Service(name, f"http://{self.settings.gateway}", link, "--gateway, VX11_SIDECAR_GATEWAY_URL")
        asked = self.settings.snapshot.destinations.get(name)
        return Service(name, asked.origin, asked.token, f"--{name}, VX11_{name.upper()}_URL") if asked else None

    def target(self, name: str) -> Target:
        return next(target for target in self.policy.ladder if target.name == name)

    def primary(self) -> str:
        """Who is asked first."""
        return self.policy.ladder[0].name if self.policy.ladder else "local"

    def chat_path(self) -> str | None:
        """A path at which the sidecar answers chat itself; None where it answers none."""
        paths = self.policy.intercept.paths if self.policy.mode == "enforce" else ()
        return paths[0] if paths else None

    def shown(self, url: str, token: str | None) -> tuple[str, dict[str, str]]:
        """``url`` and header fields that bring ``token`` where the sidecar looks for one: in the URL only if nowhere else."""
        auth = self.policy.auth
        if not token:
            return url, {}
        if "header" in auth.sources:
            return url, {auth.header: token}
        if "bearer" in auth.sources:
            return url, {"Authorization": f"Bearer {token}"}
        return f"{url}?{urlencode({'token': token})}", {}

    def quote(self, text: object, most: int = _LONGEST_QUOTE) -> str:
        """What somebody else said, on one line and short; nothing at all if one of our tokens is in it."""
        plain = "".join(character if character.isprintable() else "\ufffd" for character in str(text))
        said = self.setup.said
        secrets_ = {said.link_token, said.admin_token, *said.accepted}
        if self.setup.settings is not None:
            secrets_ |= {place.token for place in self.settings.snapshot.destinations.values()}
        if any(secret and secret in plain for secret in secrets_):
            return "(left out)"
        return plain if len(plain) <= most else plain[:most] + "…"

    # -- questions ----------------------------------------------------------------------------------------------------

    async def health(self, name: str) -> Heard:
        """``GET /health`` of a service that is known."""

        async def ask() -> Heard:
            service = self.service(name)
            assert service is not None  # noqa: S101 - see the docstring
            heard = await self.client.ask(service.url + "/health")
            self.heard.append((name, heard))
            return heard

        return await self.once(f"health {name}", ask)

    async def data_door(self) -> Heard:
        """Who is at the data port: a chat without token and body, which nobody answers with a chat."""

        async def ask() -> Heard:
            path = self.chat_path() or "/health"
            return await self.client.ask(f"http://{reached(self.settings.listen)}{path}", method="POST", patience=2.0)

        return await self.once("data door", ask)

    async def admin_door(self) -> Heard:
        """Who is at the admin port of the running sidecar."""

        async def ask() -> Heard:
            return await self.client.ask(f"http://{self.running_place()}/livez", patience=2.0)

        return await self.once("admin door", ask)

    def running_place(self) -> Address:
        """Where a running sidecar would be: as told, else where ``serve`` would put its admin port."""
        return self.wanted.running or reached(self.settings.admin)

    async def running(self) -> bool:
        """Whether a sidecar runs there. It has to say so before it is shown a token."""
        return is_sidecar(await self.admin_door())

    async def told(self, path: str) -> Heard:
        """What the running sidecar's admin port says at ``path``."""

        async def ask() -> Heard:
            token = self.setup.said.admin_token
            headers = {"X-VX11-Admin-Token": token} if token else {}
            return await self.client.ask(f"http://{self.running_place()}/{path}", headers)

        return await self.once(f"told {path}", ask)


def is_sidecar(heard: Heard) -> bool:
    return NAME in heard.fields.get("Server", "") or bool(pseudonyms(heard))


def pseudonyms(heard: Heard) -> set[str]:
    """The sidecars an answer came through, by their names in Via."""
    return set(_PSEUDONYM.findall(heard.fields.get("Via", "")))


def reached(address: Address) -> Address:
    """Where to connect to what listens at ``address``."""
    return address._replace(host=_EVERYWHERE.get(address.host, address.host))


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one: answers come from whoever is there."""
    return value if isinstance(value, dict) else {}
