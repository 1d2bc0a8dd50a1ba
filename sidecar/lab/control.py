"""The lab's control port: what is on, and how to break and mend it while it runs.

``GET /`` state · ``POST /fault`` with ``{"fault": "switch=hang"}`` as JSON or form · ``POST /fault/switch/hang`` ·
``DELETE /fault/switch`` · ``DELETE /fault`` · ``GET /executed``. What is not understood gets a 400 that says what
exists.
"""

from __future__ import annotations

import json
from typing import Any, Protocol
from urllib.parse import parse_qs

from aiohttp import web

from sidecar.lab.answers import as_json
from sidecar.lab.faults import catalogue
from sidecar.lab.routes import Ask, Table


class Town(Protocol):
    @property
    def executed(self) -> list[str]: ...

    def state(self) -> dict[str, Any]: ...

    async def fault(self, service: str, fault: str) -> None: ...

    async def order(self, text: str) -> None: ...

    async def clear(self, service: str | None = None) -> None: ...


class Control:
    def __init__(self, town: Town) -> None:
        self._town = town
        self._table = Table()
        self._table.add("/", self._state, "GET")
        self._table.add("/executed", self._executed, "GET")
        self._table.add("/fault", self._by_body, "POST")
        self._table.add("/fault", self._clear, "DELETE")
        self._table.add("/fault/{service}", self._clear, "DELETE")
        self._table.add("/fault/{service}/{fault}", self._by_path, "POST")

    async def __call__(self, ask: Ask) -> web.StreamResponse:
        try:
            return await self._table.answer(ask)
        except ValueError as error:
            return as_json({"error": str(error), "faults": catalogue()}, 400)

    async def _state(self, _ask: Ask) -> web.Response:
        return as_json(self._town.state() | {"known_faults": catalogue()})

    async def _executed(self, _ask: Ask) -> web.Response:
        return as_json({"executed": self._town.executed, "note": "what would have been executed; nothing was"})

    async def _by_body(self, ask: Ask) -> web.Response:
        await self._town.order(_asked(ask))
        return await self._state(ask)

    async def _by_path(self, ask: Ask) -> web.Response:
        await self._town.fault(ask.params["service"], ask.params["fault"])
        return await self._state(ask)

    async def _clear(self, ask: Ask) -> web.Response:
        await self._town.clear(ask.params.get("service"))
        return await self._state(ask)


def _asked(ask: Ask) -> str:
    """The fault in a JSON or form body, whatever the body is said to be: curl -d says form for everything."""
    body = ask.body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(body)
    except ValueError:
        value = {name: values[0] for name, values in parse_qs(body).items()}
    fault = value.get("fault") if isinstance(value, dict) else None
    if not isinstance(fault, str):
        raise ValueError('say which fault, for example {"fault": "switch=hang"}')  # noqa: TRY004  one kind of error: 400
    return fault
