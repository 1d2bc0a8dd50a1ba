"""Looks at everything a sidecar in front of VX11 needs before and while it serves, and says what is wrong, why, and what would mend it."""
