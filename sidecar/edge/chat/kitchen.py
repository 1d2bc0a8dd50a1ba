"""What answering a chat takes, as one value; made by the composition root."""

from __future__ import annotations

import time
from collections.abc import Callable

from sidecar.core.engine import Engine
from sidecar.core.fact import Emit
from sidecar.core.value import Value
from sidecar.edge.chaos import Live, Quiet
from sidecar.edge.chat.store import Store
from sidecar.edge.chat.upstream import Asks
from sidecar.edge.outlets.telling import Errors
from sidecar.edge.outlets.tracing import PassedOn, Tracing
from sidecar.edge.snapshot import InForce


class Kitchen(Value, gc=True):
    """``now`` is the clock of the engine, in monotonic seconds; ``clock`` tells the time of day, for those answers that state it."""

    engine: Engine
    upstream: Asks
    in_force: InForce
    emit: Emit
    now: Callable[[], float]
    log: Errors
    tracing: Tracing = PassedOn()
    clock: Callable[[], float] = time.time
    chaos: Live = Quiet()
    store: Store | None = None  # what replicas share, if they do
