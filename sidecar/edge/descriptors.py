"""How the descriptors of the process are shared out, so that nobody at one port takes those of the other.

A client of the data port may need a second one towards the gateway. The admin port has a bound of its own: whoever reaches it, and needs
no token for that, would otherwise take all there are, and no chat could be accepted any more.
"""

from __future__ import annotations

SPARE = 64  # files, the journal, targets
ADMIN_MOST = 256  # connections of the admin port: proxies that ask /auth have one for each request under way
ADMIN_LEAST = 8
ADMIN_SHARE = 16  # of how many descriptors the admin port has one, where that is less


def admin_connections(limit: int) -> int:
    """Connections that the admin port keeps, by the process's limit of descriptors."""
    return max(min(ADMIN_MOST, limit // ADMIN_SHARE), ADMIN_LEAST)


def client_connections(limit: int) -> int:
    """Connections of the data port for which there are descriptors. At least 1: less than that is no sidecar."""
    return max((limit - SPARE - admin_connections(limit)) // 2, 1)


def least_limit(clients: int) -> int:
    """The least limit of descriptors with which so many clients can be connected."""
    alone = 2 * clients + SPARE
    return alone + next(
        share for share in range(ADMIN_LEAST, ADMIN_MOST + 1) if admin_connections(alone + share) <= share
    )
