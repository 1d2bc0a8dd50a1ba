"""What the documents point at exists: links and anchors, commands, metrics, policy fields; and the Spanish README keeps up."""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS, _parser, command_module, main

ROOT = Path(__file__).parents[1]
SKIPPED = {"node_modules", "dist", "build"}
FENCE = re.compile(r"^( *)(```+|~~~+)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?:(?: {4,}[^\n]*)?\n)+)")
INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
PLACEHOLDERS = {
    "FILE|DIR…": "FILE",
    "FILE|DIR": "FILE",
    "JOURNAL…": "JOURNAL",
    "DIR…": "DIR",
    "HOST:PORT": "127.0.0.1:9180",
    "PORT": "8019",
    "SERVICE=FAULT": "switch=hang",
    "TIME": "5s",
    "NAME": "name",
    "BASE": "https://wiki.example/runbooks",
    "URL": "http://127.0.0.1:9090",
    "CHECK…": "token",
    "FILE…": "FILE",
    "N": "60",
}


def _found() -> Iterator[Path]:
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in SKIPPED and not name.startswith(".")]
        yield from (Path(folder) / name for name in files if name.endswith(".md"))


PAGES = sorted(_found())
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_blocks(text: str) -> list[str]:
    """Fenced and indented blocks, in order, without their indent."""
    blocks = [(found.start(), found[3]) for found in FENCE.finditer(text)]
    rest = FENCE.sub(lambda found: re.sub(r"[^\n]", "x", found[0]), text)
    blocks += [
        (found.start(), "\n".join(line[4:] for line in found[1].split("\n")))
        for found in INDENTED.finditer(rest)
        if found[1].strip()
    ]
    return [block for _, block in sorted(blocks)]


def prose(text: str) -> str:
    return FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """As GitHub names headings."""
    seen: dict[str, int] = {}
    found = set()
    for head in re.findall(r"^#{1,6} +(.*?) *#*$", prose(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    return found


@each_page
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    lost = []
    for target in LINK.findall(INLINE.sub("", prose(page.read_text()))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        found = there.is_relative_to(ROOT) and there.exists()
        if not found or (anchor and (there.suffix != ".md" or anchor not in anchors(there.read_text()))):
            lost.append(target)
    assert lost == []


def test_the_index_names_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    wanted = {*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "adr").glob("*.md"), *ROOT.glob("*.md")}
    assert wanted - linked - {index} == set()


# Commands.


def joined(block: str) -> Iterator[str]:
    """The lines of a block, continued ones as one, without the comment at their end."""
    for line in re.sub(r"\\\n\s*", " ", block).splitlines():
        yield re.sub(r"(?:^|\s+)#.*$", "", line)


COMMAND = re.compile(r"(?:^|[\s/(])sidecar +((?:" + "|".join(COMMANDS) + r")\b.*?)(?= (?:\||&&|&|>|2>)(?: |$)|;|$)")

UNKNOWN = re.compile(r"(?:\$ )?sidecar (?!(?:" + "|".join(COMMANDS) + r")\b)([a-z]+)\b")


def commands(page: Path) -> list[str]:
    text = page.read_text()
    lines = [line for block in code_blocks(text) for line in joined(block)]
    found = [match[1] for line in lines for match in COMMAND.finditer(line)]
    found += [match[1] for line in lines if (match := UNKNOWN.match(line))]
    for _, inline in INLINE.findall(prose(text)):
        line = " ".join(inline.split())
        found += [match[1].replace("\\|", "|") for match in COMMAND.finditer(line)]
    return found


def given(command: str) -> list[str]:
    """A command as somebody would type it: what is optional is said, names of values are values."""
    text = re.sub(r"\[the flags of serve\]", "", command)
    text = re.sub(r"\[(SECONDS)\]", "2", text)
    text = re.sub(r"\[([^\[\]]*)\]", r" \1 ", text).replace("]…", " ").replace("[", " ").replace("]", " ")
    text = re.sub(r"(\S+ )(text|json)\|(?:text|json)", r"\1\2", text)
    return [PLACEHOLDERS.get(word, word) for word in shlex.split(text)]


@functools.cache
def options(name: str) -> frozenset[str]:
    parser = argparse.ArgumentParser()
    command_module(name).add_options(parser)
    parsers = [parser]
    found: set[str] = set()
    while parsers:
        one = parsers.pop()
        for action in one._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers.extend(action.choices.values())
    return frozenset(found)


@each_page
def test_every_command_line_parses(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for command in commands(page):
        words = given(command)
        if words[0] not in COMMANDS:
            wrong.append((command, "no such command"))
            continue
        unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - options(words[0])
        if unknown:
            wrong.append((command, f"no such option: {', '.join(sorted(unknown))}"))
        elif len(words) == 1 or any("…" in word for word in words):
            continue  # only named, or cut short
        else:
            try:
                _parser().parse_args(words)
            except SystemExit as ended:
                if ended.code:
                    wrong.append((command, capsys.readouterr().err))
    assert wrong == []


def test_the_documents_hold_commands_at_all() -> None:
    said = [given(command)[0] for page in PAGES for command in commands(page)]
    assert set(COMMANDS) <= set(said)
    assert len(said) > 40


# Metrics.

REFERENCE = (ROOT / "docs" / "metrics.md").read_text()
METRICS = {
    name: {
        label: set(re.findall(r"`([^`]*)`", values))
        for label, values in re.findall(r"`(\w+)`: ((?:`[^`]*`(?:, )?|[^<|])*)", labels)
    }
    for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \| ([^|]*) \|", REFERENCE, re.MULTILINE)
}
FOREIGN = re.compile(r"(process|python)_\w+|up|ALERTS")


def family(name: str) -> str | None:
    """The metric of ours that a name, with or without prefix and suffix, stands for."""
    full = name if name.startswith("vx11_sidecar_") else f"vx11_sidecar_{name}"
    return next((each for each in (full, re.sub(r"_(bucket|sum|count)$", "", full)) if each in METRICS), None)


@each_page
def test_every_metric_that_is_named_exists(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"\bvx11_sidecar_\w*[a-z]\b(?!\*)", text)
    wrong = [name for name in named if family(name) is None]
    for _, inline in INLINE.findall(prose(text)):
        match = re.fullmatch(r"([a-z][a-z0-9_]*)\{([^{}]*)\}", inline)
        if match is None or FOREIGN.fullmatch(match[1]):
            continue
        known = family(match[1])
        if known is None:
            wrong.append(inline)
            continue
        for part in match[2].split(","):
            label, _, value = part.strip().partition("=")
            values = METRICS[known].get(label)
            if values is None or (value and not set(value.strip('~"').split("|")) <= values):
                wrong.append(inline)
    assert wrong == []


def test_the_reference_was_read() -> None:
    assert len(METRICS) > 40
    assert METRICS["vx11_sidecar_limiter_inflight"] == {"target": {"switch", "madre"}}
    assert METRICS["vx11_sidecar_degraded"] == {}


# Panels.


def panels() -> set[str]:
    boards = [json.loads(file.read_text()) for file in (ROOT / "dashboards" / "json").glob("*.json")]
    return {
        f"{board['title'].rpartition(': ')[2]} > {each['title']}"
        for board in boards
        for panel in board["panels"]
        for each in (panel, *panel.get("panels", ()))
    }


@each_page
def test_every_panel_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"\*([A-Z][\w ]+ > [^*]+)\*", prose(page.read_text()))) - {"Board > Panel"}
    assert {" ".join(name.split()) for name in named} - panels() == set()


# Policies.

SCHEMA = json.loads((ROOT / "policies" / "schema.json").read_text())


def _resolved(node: dict) -> Iterator[dict]:
    """What a node of the schema may be, through references and alternatives."""
    if "$ref" in node:
        yield from _resolved(SCHEMA["$defs"][node["$ref"].rpartition("/")[2]])
        return
    for one in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _resolved(one)
    yield node


def exists(path: str) -> bool:
    nodes = [SCHEMA]
    for part in path.replace("[]", ".[]").split("."):
        if part == "[]":
            nodes = [one for node in nodes for each in _resolved(node) if "items" in each for one in [each["items"]]]
        else:
            nodes = [
                each["properties"][part]
                for node in nodes
                for each in _resolved(node)
                if part in each.get("properties", {})
            ]
    return bool(nodes)


SECTIONS = "|".join(sorted({*SCHEMA["properties"]} - {"targets"}))  # `targets.switch.…` is a path of /state
FIELD = re.compile(rf"(?<![\w./-])((?:(?:{SECTIONS})|targets\[\])(?:\.[a-z_]+)+)(?![\w/(-])")
FILES = re.compile(r"\.(py|md|yaml|json|jsonl)$")


@each_page
def test_every_policy_field_that_is_named_exists(page: Path) -> None:
    named = {
        field
        for _, inline in INLINE.findall(prose(page.read_text()))
        for field in FIELD.findall(inline)
        if not FILES.search(field)
    }
    assert {field for field in named if not exists(field)} == set()


def test_a_field_that_is_misspelt_would_be_found() -> None:
    assert FIELD.findall("see relay.timeouts.stal") == ["relay.timeouts.stal"]
    assert exists("relay.timeouts.stall")
    assert exists("targets[].token_from")
    assert not exists("relay.timeouts.stal")
    assert not exists("targets[].tokenfrom")


@pytest.mark.parametrize("name", ["tuning"])
def test_the_policies_that_are_shown_can_be_adopted(name: str, tmp_path: Path) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / f"{name}.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown
    shutil.copy(ROOT / "policies" / "default.yaml", tmp_path)
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert main(["check", str(file)]) == 0


# The two READMEs.


def shape(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def typed(text: str) -> list[str]:
    """What is to be typed, in order."""
    lines = (line.strip() for block in code_blocks(text) for line in joined(block))
    return [line for line in lines if re.match(r"(make|export|sidecar) ", line)]


def test_the_spanish_readme_keeps_up_with_the_english_one() -> None:
    english, spanish = ((ROOT / name).read_text() for name in ("README.md", "README.es.md"))
    assert shape(spanish) == shape(english)
    assert len(code_blocks(spanish)) == len(code_blocks(english))
    assert typed(spanish) == typed(english)
    assert len(typed(english)) >= 4
    linked = [set(LINK.findall(text)) for text in (english, spanish)]
    assert linked[1] - {"README.md"} == linked[0] - {"README.es.md"}
    assert "README.es.md" in linked[0]
    assert "README.md" in linked[1]
