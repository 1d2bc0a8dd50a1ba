"""A sidecar that makes chat in VX11 work."""

__version__ = "0.1.0"
