"""Randomness without a stream: a draw is a hash of who asks.

Two policies replayed on one journal make different numbers of draws. Were they taken from a shared stream, one extra
retry would shift every later draw and the two runs would no longer be comparable. A hash of (seed, key…) gives each
decision its own draw, so the difference between two runs is paired.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def draw(seed: int, *key: int) -> float:
    """A number in [0, 1), uniform over seeds and keys, the same for the same arguments.

    The mixer is SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    """
    state = 0
    for part in (
        seed,
        *key,
    ):  # the seed is mixed as well: merely xored into a key, neighbouring seeds would share draws
        state = (state ^ (part & _MASK)) + _GOLDEN & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return (state >> 11) * 2.0**-53
