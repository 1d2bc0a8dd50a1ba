"""A sidecar that makes chat in VX11 work."""

from sidecar.sources import choose

__version__ = "0.1.0"

choose()  # before any other module of ours is looked for
