"""Write the boards. Run from the root of the repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dashboards import overview, runtime, tuning, upstreams

WHERE = Path(__file__).parent / "json"
BOARDS: Mapping[str, Callable[[], str]] = {
    "overview": overview.made,
    "upstreams": upstreams.made,
    "tuning": tuning.made,
    "runtime": runtime.made,
}


def write(where: Path) -> None:
    where.mkdir(parents=True, exist_ok=True)
    for name, made in BOARDS.items():
        (where / f"{name}.json").write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    write(WHERE)
