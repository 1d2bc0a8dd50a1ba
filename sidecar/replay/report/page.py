"""The report of a comparison: one HTML file that needs no network, no script and no other file.

Its content security policy allows nothing but the style that stands in it, so that not even a hostile name of a file could make it do
anything. Check boxes hide a column everywhere, by style alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sidecar.replay.column import Comparison
from sidecar.replay.report.sections import sections
from sidecar.replay.report.words import count, listed, markup

FILES = 12  # named; of more their number is told

_STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'"
_PATTERNS = "".join(  # stripes that lie: they stay what they are when a plot is stretched
    f'<pattern id="{name}" width="8" height="{height}" patternUnits="userSpaceOnUse"><rect class="{name}-ground" width="8" '
    f'height="{height}"/><rect class="{name}-stripe" width="8" height="{height // 2}"/></pattern>'
    for name, height in (("local", 4), ("held-open", 6), ("held-closed", 6))
)
_NOTHING: Mapping[str, float] = MappingProxyType({})


def render(
    comparison: Comparison, *, title: str, made_of: Sequence[str], version: str, limits: Mapping[str, float] = _NOTHING
) -> str:
    """The whole document, the same for the same values.

    ``made_of`` names the journals, ``version`` is that of the program; ``limits`` are times to mark among the latencies, in seconds by
    what they are (``deadline``). There may be any number of columns; from the ninth on they share colours with earlier ones.
    """
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(style=style)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{markup(title)}</title>\n<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f'<svg class="unseen" aria-hidden="true"><defs>{_PATTERNS}</defs></svg>\n'
        f"<header><h1><bdi>{markup(title)}</bdi></h1>{_made_of(made_of, version)}</header>\n"
        f"<main>\n{''.join(sections(comparison, limits))}</main>\n</body>\n</html>\n"
    )


def _made_of(files: Sequence[str], version: str) -> str:
    named = [f"<code><bdi>{markup(name)}</bdi></code>" for name in files[:FILES]]
    if len(files) > FILES:
        named.append(f"{count(len(files) - FILES)} more")
    source = f"Made from {listed(named)} by" if named else "Made by"
    return f'<p class="muted">{source} <code>sidecar replay</code> {markup(version)}.</p>'
