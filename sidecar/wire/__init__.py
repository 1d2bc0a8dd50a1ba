"""HTTP/1.1 as an intermediary sees it: pure bytes in, bytes out. Floor 1."""
