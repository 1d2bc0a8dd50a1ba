"""madre's power windows: which services may be on, for how long. They say what should be, not what is: the switch of
the lab answers whether a window is open or not, as the real one was seen to do.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel

from sidecar.lab.answers import RefusedError, detail
from sidecar.lab.pace import Pace

ALWAYS_ON = ("madre", "redis")
SERVICES = ("switch", "hermes", "hormiguero", "spawner", "mcp", "shubniggurath", "operator")


class WindowRequest(BaseModel):
    services: list[str]
    ttl_sec: int | None = None
    mode: Literal["ttl", "hold"] = "ttl"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Window:
    window_id: str
    services: tuple[str, ...]
    created_at: str
    deadline: str | None
    ends: float | None


class Power:
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._window: _Window | None = None

    def state(self) -> dict[str, Any]:
        window = self._current()
        if window is None:
            closed = {"policy": "solo_madre", "window_id": None, "created_at": None, "deadline": None}
            return {**closed, "ttl_remaining_sec": None, "active_services": list(ALWAYS_ON)}
        return {
            "policy": "windowed",
            "window_id": window.window_id,
            "created_at": window.created_at,
            "deadline": window.deadline,
            "ttl_remaining_sec": self._remaining(window),
            "active_services": [*ALWAYS_ON, *window.services],
        }

    def open(self, request: WindowRequest) -> dict[str, Any]:
        unknown = [name for name in request.services if name not in SERVICES]
        if unknown:
            raise RefusedError(detail(422, f"unknown services: {', '.join(unknown)}"))
        if self._current() is not None:
            raise RefusedError(detail(409, "window_already_open"))
        ttl = None if request.mode == "hold" else float(request.ttl_sec if request.ttl_sec is not None else 600)
        now = datetime.now(UTC)
        window = _Window(
            str(uuid.uuid4()),
            tuple(request.services),
            _stamp(now),
            None if ttl is None else _stamp(now + timedelta(seconds=ttl)),
            None if ttl is None else self._pace.now() + ttl,
        )
        self._window = window
        return {
            "window_id": window.window_id,
            "created_at": window.created_at,
            "deadline": window.deadline,
            "services_started": list(window.services),
            "state": "open",
            "ttl_remaining_sec": self._remaining(window),
        }

    def close(self) -> dict[str, Any]:
        window = self._current()
        if window is None:
            raise RefusedError(detail(404, "no_open_window"))
        self._window = None
        return {"window_id": window.window_id, "state": "closed", "services_stopped": list(window.services)}

    def _current(self) -> _Window | None:
        window = self._window
        if window is not None and window.ends is not None and self._pace.now() >= window.ends:
            self._window = None
        return self._window

    def _remaining(self, window: _Window) -> int | None:
        return None if window.ends is None else max(0, round(window.ends - self._pace.now()))


def _stamp(moment: datetime) -> str:
    """Not a valid ISO time: the real one ends in both +00:00 and Z."""
    return moment.isoformat() + "Z"
