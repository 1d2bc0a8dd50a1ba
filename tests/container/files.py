"""What the container files say, read without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def tool(name: str) -> str | None:
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def compose(path: Path) -> dict[str, Any]:
    """A compose file as plain values. ``!reset`` is None, ``!override`` is what stands there; merge keys are merged."""
    return dict(_plain(YAML().load(path.read_text())))


def _plain(node: Any) -> Any:
    if (tag := getattr(node, "tag", None)) is not None and tag.value == "!reset":
        return None
    if hasattr(node, "items"):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return getattr(node, "value", node) if tag is not None and not isinstance(node, str | int | float) else node


def interpolated(text: str, environ: dict[str, str] | None = None) -> str:
    """With the defaults of its variables. Raises KeyError for one that must be set."""

    def value(match: re.Match[str]) -> str:
        name, operator, default = match.groups()
        return (environ or {})[name] if name in (environ or {}) or operator != "-" else default

    return _VARIABLE.sub(value, text)


def variables(path: Path) -> set[str]:
    return {match[1] for match in _VARIABLE.finditer(path.read_text())}


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Its instructions in order, continued lines joined, comments left out."""
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [
        (word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def sources(dockerfile: str) -> list[str]:
    """What is copied from the context."""
    copied = [
        json.loads(rest) if rest.startswith("[") else rest.split()
        for word, rest in instructions(dockerfile)
        if word == "COPY"
    ]
    return [
        source for words in copied if not words[0].startswith("--from") for source in words[:-1] if source[:2] != "--"
    ]


def context(ignore: str, paths: list[str]) -> list[str]:
    """Of ``paths``, those that the build sees: the last pattern that fits decides, and a directory's patterns hold within it."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]
    return [path for path in paths if not _ignored(path, rules)]


def _ignored(path: str, rules: list[str]) -> bool:
    parts = path.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!").rstrip("/")
        anywhere = pattern.removeprefix("**/")
        candidates = (
            parts if anywhere != pattern else [prefix for prefix in prefixes if prefix.count("/") == pattern.count("/")]
        )
        if any(fnmatchcase(candidate, anywhere) for candidate in candidates):
            ignored = not rule.startswith("!")
    return ignored


def repository() -> list[str]:
    """Every file that is part of it or might become so, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def merged(environ: dict[str, str], base: Path, override: Path, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Both files as one without tags, variables and ``extends``, as the Compose specification merges them.

    Relative paths stay as they are. ``without`` names services that are left out.
    """
    plain, over = (YAML().load(interpolated(path.read_text(), environ)) for path in (base, override))
    for name in without:
        over["services"].pop(name)
    for name, service in over["services"].items():
        if "extends" in service:
            other = service.pop("extends")
            origin = YAML().load(interpolated((base.parent / other["file"]).read_text(), environ))
            over["services"][name] = _combined(_plain(origin["services"][other["service"]]), service)
    return dict(_combined(_plain(plain), over))


def _combined(below: Any, above: Any, key: str = "") -> Any:
    tag = getattr(getattr(above, "tag", None), "value", None)
    if tag == "!override" or below is None or key in ("command", "entrypoint", "test"):
        return _plain(above)
    if isinstance(below, dict) and hasattr(above, "items"):
        whole = dict(below)
        for name, value in above.items():
            if getattr(getattr(value, "tag", None), "value", None) == "!reset":
                whole.pop(name, None)
            else:
                whole[name] = _combined(whole.get(name), value, name)
        return whole
    if isinstance(below, list) and isinstance(above, list):
        return below + [item for item in _plain(above) if item not in below]
    return _plain(above)
