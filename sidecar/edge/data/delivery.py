"""How much of what was written to a connection its other end has taken, as the system counts it.

A gateway closes an idle connection in the same moment as the next request leaves on it: the request is lost, and a client that
sees a 502 cannot know whether it was carried out. The system knows. TCP acknowledges bytes when they reach the other
side's system, and what reaches a closed socket is never acknowledged but answered by a reset (RFC 9293 3.5.2, 3.10.7.1).
So bytes without an acknowledgement, on a connection that was reset or ended, are bytes that no program has read or will read.

Linux tells by ``TCP_INFO`` (``tcpi_bytes_acked``, since 4.1). Where nothing is told, nothing is assumed.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

_BYTES_ACKED = struct.Struct(
    "=120xQ"
)  # of struct tcp_info, linux/tcp.h: the field's place is part of the system's interface
_TCP_INFO = getattr(socket, "TCP_INFO", None)


def acknowledged(sock: Any) -> int | None:
    """Bytes of this connection that the other side's system has taken since it stands; None if that cannot be known."""
    if _TCP_INFO is None:
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size)
    except OSError:
        return None
    return int(_BYTES_ACKED.unpack(told)[0]) if len(told) == _BYTES_ACKED.size else None
