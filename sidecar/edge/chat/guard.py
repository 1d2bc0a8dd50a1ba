"""The rate guard: so many chats of a session, or of a peer that names none, within so many seconds.

A replica alone counts in the engine's windows. Replicas that share a store count there, in windows of the same kind: what it says holds,
and what it lets pass is noted in the engine's windows as well. So where the store does not answer, each replica goes on with what it has
let pass itself, and the worst that a dead store can do is a limit that holds for each replica instead of for all.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from sidecar.core.engine import Engine
from sidecar.core.fact import Emit, RateLimited
from sidecar.core.value import Value
from sidecar.edge.chat import reply
from sidecar.edge.chat.admission import Admitted, Rejected
from sidecar.edge.chat.store import Store
from sidecar.policy.model import Guards, Policy
from sidecar.policy.units import Rate

# The windows of sidecar.core.rate, as one atomic step on the store's own clock, in microseconds. A list has the moments at which chats of
# a key were let pass, as text, for Lua writes large numbers short. What lies ahead of the clock was written before it was set back.
WINDOW = """
local calls, per = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
while true do
  local first = tonumber(redis.call('LINDEX', KEYS[1], 0))
  if not first or (first > now - per and first <= now) then break end
  redis.call('LPOP', KEYS[1])
end
local count = redis.call('LLEN', KEYS[1])
if count >= calls then
  return tonumber(redis.call('LINDEX', KEYS[1], count - calls)) + per - now
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(per / 1000))
return -1
"""
PASSES = -1
MICROSECONDS = 1_000_000


LONGEST = 64  # bytes of a name that is kept as it is; of a longer one there is a digest
DIGESTED, NAMED = b"#", b"="


class Counted(Value):
    """What a chat counts against: its session, or its peer where it is ``anonymous``."""

    who: bytes
    anonymous: bool

    def key(self) -> bytes:
        """What it is remembered by here: short, whatever a client calls its session."""
        return NAMED + self.who if len(self.who) <= LONGEST else DIGESTED + self.digest()

    def digest(self) -> bytes:
        """What it is called where others can read it."""
        return blake2b(self.who, digest_size=16).digest()

    def rate(self, guards: Guards) -> Rate:
        return guards.anonymous_rate_limit if self.anonymous else guards.rate_limit


class Guard:
    def __init__(self, engine: Engine, now: Callable[[], float], emit: Emit) -> None:
        self._engine = engine
        self._now = now
        self._emit = emit

    def alone(self, peer: str, policy: Policy, asked: Admitted) -> Admitted | Rejected:
        """By what this replica has let pass itself."""
        counted = _counted(peer, asked)
        retry_after = self._engine.admit(self._now(), counted.key(), anonymous=counted.anonymous)
        return asked if retry_after is None else _refused(policy.guards, asked, counted, retry_after)

    async def together(self, store: Store, peer: str, policy: Policy, asked: Admitted) -> Admitted | Rejected:
        """By what all replicas have let pass, if the store says it in time."""
        counted = _counted(peer, asked)
        rate = counted.rate(policy.guards)
        said = await store.ask(
            WINDOW, b"rate:" + counted.digest().hex().encode(), rate.calls, round(rate.per * MICROSECONDS)
        )
        if said is None:
            return self.alone(peer, policy, asked)
        now = self._now()
        if said == PASSES:
            self._engine.note(now, counted.key(), anonymous=counted.anonymous)
            return asked
        retry_after = said / MICROSECONDS
        self._emit(RateLimited(now, retry_after, counted.anonymous))
        return _refused(policy.guards, asked, counted, retry_after)


def _counted(peer: str, asked: Admitted) -> Counted:
    session = asked.chat.session_id
    who = f"session {session}" if session else f"peer {peer}"
    return Counted(who.encode(), anonymous=not session)


def _refused(guards: Guards, asked: Admitted, counted: Counted, retry_after: float) -> Rejected:
    answer = reply.rate_limited(asked.caller, str(counted.rate(guards)), retry_after, asked.session_id)
    return Rejected(answer, "rate_limited", asked.caller)
