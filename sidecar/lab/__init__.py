"""A small VX11 that speaks the observed contract and misbehaves on demand. Imports nothing of the other rooms."""
