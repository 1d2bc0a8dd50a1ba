"""The shape of a chat request as pydantic knows it, by itself: mypyc cannot make a class of pydantic's."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Says what is wrong in FastAPI's words. Unknown members are ignored, as VX11 does, and ``correlation_id`` may be of any type."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    message: str
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    correlation_id: Any = None
