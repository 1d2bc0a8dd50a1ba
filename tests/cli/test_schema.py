"""``sidecar schema``: the committed copy is what is printed, the shipped files name it and are valid by it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sidecar.cli import schema as command

SHIPPED = Path(__file__).parents[2] / "policies"
FILES = sorted(SHIPPED.glob("*.yaml"))
SCHEMA = json.loads(command.text())

ANNOTATIONS = {"$defs", "$schema", "title", "description", "default", "examples"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float}


def wrong(value: Any, schema: dict[str, Any], at: str = "") -> list[str]:
    """The part of JSON Schema that ours uses; a keyword it does not know fails the test."""
    if "$ref" in schema:
        return wrong(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    found: list[str] = []
    for keyword, wanted in schema.items():
        if keyword not in ANNOTATIONS:
            found += [f"{at}.{inside}" for inside in KEYWORDS[keyword](value, wanted, schema)]
    return found


def _properties(value: Any, wanted: dict[str, Any], _: Any) -> list[str]:
    return [each for key, below in wanted.items() if key in value for each in wrong(value[key], below, key)]


def _patterned(value: Any, wanted: dict[str, Any], _: Any) -> list[str]:
    pairs = [(key, below) for key in value for pattern, below in wanted.items() if re.search(pattern, key)]
    return [each for key, below in pairs for each in wrong(value[key], below, key)]


def _additional(value: Any, wanted: Any, schema: dict[str, Any]) -> list[str]:
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    others = [key for key in value if key not in known and not any(re.search(pattern, key) for pattern in patterns)]
    return (
        [each for key in others for each in wrong(value[key], wanted, key)]
        if wanted
        else [f"{key}: unknown" for key in others]
    )


def _type(value: Any, wanted: str, _: Any) -> list[str]:
    right = isinstance(value, TYPES[wanted]) and (wanted == "boolean") == isinstance(value, bool)
    return [] if right else [f"not {wanted}"]


def _items(value: Any, wanted: dict[str, Any], _: Any) -> list[str]:
    return [each for index, below in enumerate(value) for each in wrong(below, wanted, str(index))]


def _unless(right: Any, what: str) -> list[str]:
    return [] if right else [what]


KEYWORDS = {
    "type": _type,
    "properties": _properties,
    "patternProperties": _patterned,
    "additionalProperties": _additional,
    "propertyNames": lambda value, wanted, _: [each for key in value for each in wrong(key, wanted, key)],
    "items": _items,
    "required": lambda value, wanted, _: [f"{key} missing" for key in wanted if key not in value],
    "enum": lambda value, wanted, _: _unless(value in wanted, "not one of"),
    "const": lambda value, wanted, _: _unless(value == wanted and type(value) is type(wanted), "not the constant"),
    "pattern": lambda value, wanted, _: _unless(isinstance(value, str) and re.search(wanted, value), "not of the form"),
    "minimum": lambda value, wanted, _: _unless(value >= wanted, "too small"),
    "maximum": lambda value, wanted, _: _unless(value <= wanted, "too large"),
    "minItems": lambda value, wanted, _: _unless(len(value) >= wanted, "too short"),
    "maxItems": lambda value, wanted, _: _unless(len(value) <= wanted, "too long"),
    "uniqueItems": lambda value, wanted, _: _unless(not wanted or len({*value}) == len(value), "not each once"),
    "minProperties": lambda value, wanted, _: _unless(len(value) >= wanted, "too few"),
    "anyOf": lambda value, wanted, _: _unless(any(not wrong(value, each) for each in wanted), "none of"),
    "not": lambda value, wanted, _: _unless(wrong(value, wanted), "must not be there"),
}


def test_the_committed_schema_is_what_the_command_prints(capsys):
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    assert command.run(parser.parse_args([])) is None
    assert capsys.readouterr().out == (SHIPPED / "schema.json").read_text(encoding="utf-8")


def test_it_says_which_draft_it_is_and_what_a_policy_is():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Policy of the sidecar"


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_names_the_schema_in_its_first_line(file):
    first = file.read_text(encoding="utf-8").split("\n", 1)[0]
    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match
    assert (file.parent / match[1]).is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_shipped_file_is_valid_by_the_schema(file):
    assert wrong(YAML(typ="safe", pure=True).load(file), SCHEMA) == []


@pytest.mark.parametrize(
    ("stated", "complaints"),
    [
        ({}, 0),
        ({"extends": "default.yaml", "version": 1}, 0),
        ({"retry": {"on": ["connect-failure", 503]}, "fallback": {"local_text": {"de": "a"}}}, 0),
        ({"mode": "shadow"}, 0),
        ({"mode": "looking"}, 1),
        ({"mod": "off"}, 1),
        ({"deadline": {"client": 5}}, 2),
        ({"retry": {"max_attempts": 11}}, 1),
        ({"retry": {"max_attempts": True}}, 1),
        ({"retry": {"on": [200]}}, 1),
        ({"targets": [{"url": "http://a"}]}, 1),
        ({"targets": []}, 1),
        ({"auth": {"sources": ["header", "header"]}}, 1),
        ({"fallback": {"local_text": {"EN": "a"}}}, 1),
        ({"fallback": {"local_text": {}}}, 1),
        ({"hedge": {"delay": "p99"}}, 1),
        ({"affinity": {"stick": 5}}, 1),
        ({"auth": {"sources": []}}, 1),
        ({"auth": {"sources": ["query", "cookie"]}}, 1),
        ({"auth": {"sources": ["bearer", "bearer"]}}, 1),
        ({"outcome": {"failure": [{"body": {"status": "a"}}]}}, 1),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(stated, complaints):
    assert len(wrong(stated, SCHEMA)) == complaints
