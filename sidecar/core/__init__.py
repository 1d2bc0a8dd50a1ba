"""The decisions, pure: every method takes ``now`` and returns a value. Floor 1."""
