"""The promises of the whole sidecar, kept in front of a VX11 that misbehaves."""
