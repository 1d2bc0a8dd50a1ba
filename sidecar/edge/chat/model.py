"""The shape of a chat request, by itself: mypyc cannot make a class of pydantic's, and can compile whoever reads one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Chat(BaseModel):
    """A chat request. Unknown members are ignored, as VX11 does; ``correlation_id`` of another type is no error, as the gateway has it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    message: str
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    correlation_id: Any = None
