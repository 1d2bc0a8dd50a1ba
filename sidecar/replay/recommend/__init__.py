"""Values for a policy, read out of a journal: what was seen of each target, what follows from it, and whether it would have been better."""

from sidecar.replay.recommend.advice import Advice, Tried, advise

__all__ = ["Advice", "Tried", "advise"]
