"""Whether traces are exported, and what targets are told about the trace a chat is part of.

Without an endpoint nothing is exported: the client's own context is passed on as it came. With one (the standard variable
``OTEL_EXPORTER_OTLP_ENDPOINT`` or its variant for traces) the spans are ours and targets are told of them; that takes the extra
``otel``, which is imported then and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from sidecar.wire.trace import Context

if TYPE_CHECKING:
    from sidecar.edge.outlets.traces import Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class UnusableTracingError(ValueError):
    """Traces are wanted and cannot be had; the text says what to install or to change."""


class Tracing(Protocol):
    def begin(self, call: int, came: Context | None) -> Context | None:
        """A chat begins that came with this context; what it is part of from here on."""

    def outgoing(self, call: int, attempt: int) -> Mapping[str, str] | None:
        """The header fields for one request to a target; None: those that came."""


class PassedOn:
    """Nothing is exported."""

    def begin(self, call: int, came: Context | None) -> Context | None:  # noqa: ARG002
        return came

    def outgoing(self, call: int, attempt: int) -> Mapping[str, str] | None:  # noqa: ARG002
        return None


def exported(environ: Mapping[str, str], now: Callable[[], float]) -> Traces | None:
    """The traces that ``environ`` asks for; None if it asks for none. Raises UnusableTracingError."""
    asked = next((name for name in ENDPOINTS if environ.get(name)), None)
    if asked is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from sidecar.edge.outlets.traces import Traces  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise UnusableTracingError(
            f"{asked} is set, but {error.name} is not installed: install the extra with pip install 'vx11-sidecar[otel]', "
            "or unset the variable"
        ) from None
    return Traces(now)
