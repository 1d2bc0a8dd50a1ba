"""How one service of the lab asks another: a new connection per question, a time limit, and the result as a value.

The real services make a new client for every call, so no connection is ever reused here either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from sidecar.lab.pace import Pace


@dataclass(frozen=True, slots=True)
class Heard:
    """``status`` is 0 when there was no answer, and ``trouble`` says why. ``body`` is {} unless it is an object."""

    status: int
    body: Mapping[str, Any]
    trouble: str = ""

    @property
    def good(self) -> bool:
        return self.status == 200


class Caller:
    def __init__(self, pace: Pace, session: aiohttp.ClientSession, token: str) -> None:
        self._pace = pace
        self._session = session
        self._headers = {"X-VX11-Token": token}

    async def ask(self, method: str, url: str, within: float, payload: Any = None) -> Heard:
        try:
            async with (
                self._pace.within(within),
                self._session.request(method, url, json=payload, headers=self._headers) as answer,
            ):
                return Heard(answer.status, _object(await answer.read()))
        except TimeoutError:
            return Heard(0, {}, "timeout")
        except aiohttp.ClientConnectorError:
            return Heard(0, {}, "All connection attempts failed")
        except aiohttp.ClientError as error:
            return Heard(0, {}, type(error).__name__)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def session() -> aiohttp.ClientSession:
    """No environment proxies, no cookies, no limit that would queue one service behind another."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
