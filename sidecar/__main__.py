"""``python -m sidecar``: the same as the console script."""

from sidecar.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
