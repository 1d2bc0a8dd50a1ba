"""What madre's power state says about the switch, and what the policy makes of it.

Signal and reality are independent: the switch was seen to answer while the power state said it was off. So by default the signal only
*explains* a failure to connect; a policy may *obey* it and not ask at all, or *ignore* it.
"""

from __future__ import annotations

from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import Dormant

GOVERNED = (
    "switch"  # madre owns the power windows and the gateway is always on: only the switch is turned off by policy
)
_ABSENT = frozenset({ErrorKind.CONNECT, ErrorKind.DNS})  # what a container that is off looks like


class Dormancy:
    """The last power state heard; None means unknown, and unknown is awake."""

    def __init__(self) -> None:
        self._active: frozenset[str] | None = None
        self._was_off = False  # by the last power state that could be read

    def hear(self, active: frozenset[str] | None) -> bool:
        """Take a power state; True if the switch was off and is on now, whatever could not be read in between."""
        self._active = active
        if active is None:
            return False
        was_off, self._was_off = self._was_off, self.off(GOVERNED)
        return was_off and not self._was_off

    def off(self, target: str) -> bool:
        """Whether the power state says that this target is off."""
        return target == GOVERNED and self._active is not None and target not in self._active

    def forbids(self, target: str, policy: Dormant) -> bool:
        """Whether the target must not even be asked."""
        return self.off(target) and policy.mode == "obey"

    def explains(self, target: str, policy: Dormant, outcome: Outcome) -> bool:
        """Whether this outcome is just what a target that is off by policy looks like: no failure, no penalty, no alert."""
        return outcome.error in _ABSENT and self.off(target) and policy.mode != "ignore"
