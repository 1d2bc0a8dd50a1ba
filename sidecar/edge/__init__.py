"""Sockets, clocks, metrics and logs: everything that is not pure. Floors 2 to 4."""
