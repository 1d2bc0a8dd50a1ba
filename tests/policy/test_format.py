"""The canonical form: what is moved, what never changes, and that no comment is lost or goes to somebody else."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, note, settings
from hypothesis import strategies as st

from sidecar.policy.format import formatted
from sidecar.policy.format.faithful import UnfaithfulError, checked, stated
from sidecar.policy.lint import lint, silence
from sidecar.policy.load import PolicyError, parse
from sidecar.policy.model import Policy
from sidecar.policy.source import Node, read

from .test_any_policy import POLICIES

SHIPPED = Path(__file__).parents[2] / "policies"


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_files_are_canonical(file):
    assert formatted(file.read_text(), file.name) == file.read_text()


# ── literal cases: before, after ──

CASES = {
    "keys in the order of the model": (
        "retry: {max_attempts: 1}\ndeadline:\n  margin: 1s\n  client: 4s\nextends: a.yaml\nversion: 1\n",
        "extends: a.yaml\nversion: 1\ndeadline:\n  client: 4s\n  margin: 1s\nretry: {max_attempts: 1}\n",
    ),
    "keys of targets, and of sections in brackets": (
        "targets:\n- retry: {backoff: {max: 1s, base: 5ms}, on: [ 502,503 ]}\n  name: madre\n",
        "targets:\n  - name: madre\n    retry: {on: [502, 503], backoff: {base: 5ms, max: 1s}}\n",
    ),
    "the order of languages and of a rule's body has a meaning or none is known": (
        "fallback: {local_text: {es: b, en: a}}\noutcome: {failure: [{body: {z: [a], b: [c]}, status: [200]}]}\n",
        "outcome: {failure: [{status: [200], body: {z: [a], b: [c]}}]}\nfallback: {local_text: {es: b, en: a}}\n",
    ),
    "comments travel with their key": (
        "# of slo\nslo:  # beside slo\n  # of min_bad\n  min_bad: 2  # beside\n  # of availability\n  availability: 99%\n  # foot\n\nmode: off # m\n",
        "mode: off  # m\n\n# of slo\nslo:  # beside slo\n  # of availability\n  availability: 99%\n  # of min_bad\n  min_bad: 2  # beside\n  # foot\n",
    ),
    "what is said of the file stays at its top": (
        "# of the file\n\n# of slo\nslo: {min_bad: 2}\n\nmode: off\n",
        "# of the file\n\nmode: off\n\n# of slo\nslo: {min_bad: 2}\n",
    ),
    "and so does what is said to editors": (
        "# yaml-language-server: $schema=schema.json\n# of slo\nslo: {min_bad: 2}\nmode: off\n",
        "# yaml-language-server: $schema=schema.json\nmode: off\n# of slo\nslo: {min_bad: 2}\n",
    ),
    "blank lines: one at most, none at the ends of a section": (
        "\n\nmode: off\n\n\n\nauth:\n\n  mode: off\n\n\n",
        "mode: off\n\nauth:\n  mode: off\n",
    ),
    "a foot belongs to the section it is indented like": (
        "retry:\n    backoff:\n        max: 1s\n        # of backoff\n    # of retry\n\n    # of retry, too\n# of slo\n  # and this\nslo:\n    min_bad: 1\n  # of slo's end\n# of the file's end\n",
        "retry:\n  backoff:\n    max: 1s\n    # of backoff\n  # of retry\n\n  # of retry, too\n# of slo\n# and this\nslo:\n  min_bad: 1\n# of slo's end\n# of the file's end\n",
    ),
    "a comment that stands further out closes what is further in": (
        "retry:\n  backoff:\n    max: 1s\n  # out\n    # in\nslo: {min_bad: 1}\n",
        "retry:\n  backoff:\n    max: 1s\n  # out\n  # in\nslo: {min_bad: 1}\n",
    ),
    "a list indented like its key": (
        "cors:\n  origins:\n  - http://a   # a\n  # foot\n  expose:\n  - X\n# end\n",
        "cors:\n  origins:\n    - http://a   # a\n  # foot\n  expose:\n    - X\n# end\n",
    ),
    "a foot of a list": (
        "cors:\n  origins:\n  - http://a\n    # foot\n  expose: [X]\n",
        "cors:\n  origins:\n    - http://a\n    # foot\n  expose: [X]\n",
    ),
    "between a key and its value, and after a dash": (
        "deadline:\n  client:  # a\n    # b\n\n    4s  # c\ntargets:\n  -  # d\n    # e\n    reserve: 1s\n    # f\n    name: madre\n  - # g\n    name: local\nrelay:\n  deny:\n    - # h\n      /x\n",
        "deadline:\n  # a\n  # b\n  client: 4s  # c\ntargets:\n  # d\n  # f\n  - name: madre\n    # e\n    reserve: 1s\n  # g\n  - name: local\nrelay:\n  deny:\n    # h\n    - /x\n",
    ),
    "a comment for the lint stays with the line it is for": (
        "targets:\n  # of the rung\n  # lint: ignore reserve-unused (why)\n  - reserve: 1s\n    name: switch\n  - name: madre\n",
        "targets:\n  # of the rung\n  - name: switch\n    # lint: ignore reserve-unused (why)\n    reserve: 1s\n  - name: madre\n",
    ),
    "columns of comments": (
        "deadline:\n    client: 4s      # a\n    margin: 250ms   # b\n    header: x-y# no comment\n",
        "deadline:\n  client: 4s      # a\n  header: x-y# no comment\n  margin: 250ms   # b\n",
    ),
    "quotes": (
        "mode: 'off'\nauth: {header: \"x-y\", sources: ['header']}\ndeadline: {client: '5s'}\ncors: {origins: ['http://a:1'], expose: [\"a~\"]}\nfallback:\n  local_text: {'no': 'it''s', en: 'a b', de: 'say \"so\"', \"fr\": \"\\u00e9\"}\n\"admin\": {hosts: ['::1', \"y\"]}\n",
        'mode: "off"\nauth: {header: x-y, sources: [header]}\ndeadline: {client: 5s}\nfallback:\n  local_text: {"no": "it\'s", en: "a b", de: \'say "so"\', fr: "\\u00e9"}\ncors: {origins: [http://a:1], expose: ["a~"]}\nadmin: {hosts: ["::1", "y"]}\n',
    ),
    "what looks like a number to others stays as it is written": (
        "outcome: {failure: [{body: {a: [010, 1:30, no, 1e3, '503', \"1_0\", .inf]}}]}\n",
        'outcome: {failure: [{body: {a: [010, 1:30, no, 1e3, "503", "1_0", .inf]}}]}\n',
    ),
    "brackets over several lines": (
        "cors:\n  origins: [\n    http://a,\n    http://b ]  # why\n",
        "cors:\n  origins: [http://a, http://b]  # why\n",
    ),
    "unless they hold comments, or do not fit": (
        "cors:\n    origins: [\n      http://a,  # a\n\n      http://b\n    ]\n    expose: ["
        + ",\n      ".join(f"X-Some-Header-{n}" for n in range(9))
        + "]\n",
        "cors:\n  origins: [\n    http://a,  # a\n\n    http://b\n  ]\n  expose: ["
        + ",\n    ".join(f"X-Some-Header-{n}" for n in range(9))
        + "]\n",
    ),
    "one line stays one line, however long": (
        "cors: {expose: [ " + ",".join(f"X-Some-Header-{n}" for n in range(9)) + " ]}\n",
        "cors: {expose: [" + ", ".join(f"X-Some-Header-{n}" for n in range(9)) + "]}\n",
    ),
    "blocks of text": (
        "fallback:\n    local_text:\n        es: |2-  # c\n              a\n           # no comment\n\n          b\n\n        # of en\n        en: >\n            one\n\n            two\n    local: error\n",
        "fallback:\n  local: error\n  local_text:\n    es: |2-  # c\n          a\n       # no comment\n\n      b\n\n    # of en\n    en: >\n      one\n\n      two\n",
    ),
    "blank lines that a text keeps": (
        "fallback:\n  local_text:\n    en: |+\n      a\n\n\nmode: off\n\ndeadline: {client: 1s}\n\nauth: {mode: off}\n",
        "mode: off\n\nauth: {mode: off}\n\ndeadline: {client: 1s}\nfallback:\n  local_text:\n    en: |+\n      a\n\n\n",
    ),
    "blank lines behind a text that keeps them": (
        "fallback:\n  local_text:\n    en: |+\n      a\n\n  on: [open]\n\n  local: error\n\nreply: {shape: superset}\nmode: off\n",
        "mode: off\nfallback:\n  on: [open]\n\n  local: error\n  local_text:\n    en: |+\n      a\n\nreply: {shape: superset}\n",
    ),
    "a text at the end of a file without a line end": (
        "fallback:\n  local_text:\n    en: |\n      a",
        "fallback:\n  local_text:\n    en: |-\n      a\n",
    ),
    "spaces at the end of a text": (
        "fallback:\n  local_text:\n      en: |\n       a\n         \n\n  local: error\n",
        "fallback:\n  local: error\n\n  local_text:\n    en: |\n      a\n        \n",
    ),
    "and at the end of a file": (
        "fallback:\n  local_text:\n    en: |+\n      a\n       ",
        "fallback:\n  local_text:\n    en: |-\n      a\n       \n",
    ),
    "texts over several lines": (
        'fallback:\n  local_text:\n    en: one\n     two\n\n      three  # c\n    es: "uno\n  dos \\\n      tres"\n',
        'fallback:\n  local_text:\n    en: one\n      two\n\n      three  # c\n    es: "uno\n      dos \\\n      tres"\n',
    ),
    "keys of the long form": (
        "? mode  # a\n# b\n: off\n? |-\n  auth\n: {mode: off}\nfallback:\n  local_text:\n    ? |-\n      en\n    : a\n",
        "# a\n# b\nmode: off\nauth: {mode: off}\nfallback:\n  local_text:\n    en: a\n",
    ),
    "line ends, a byte order mark, signs of documents": (
        "\ufeff--- # a\r\nmode: off # b\r\n# c\r\n...\r\n# d\r\n",
        "# a\nmode: off  # b\n# c\n# d\n",
    ),
    "a whole file in brackets": (
        "# a\n{mode: off, version: 1}  # b\n# c\n",
        "# a\n{version: 1, mode: off}  # b\n# c\n",
    ),
    "an empty file": ("", ""),
    "an empty mapping": ("{}", "{}\n"),
    "comments alone": ("\n\n# a\n\n\n# b\n---\n# c\n\n", "# a\n\n# b\n# c\n"),
    "lists in lists, in blocks": (
        "outcome:\n  failure:\n  -\n    # a\n    body:\n        x:\n        # b\n        - y\n    status:\n      - 200\n",
        "outcome:\n  failure:\n    - status:\n        - 200\n      # a\n      body:\n        x:\n          # b\n          - y\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of(name):
    before, after = CASES[name]
    assert formatted(before, "p") == after
    assert formatted(after, "p") == after


def test_what_is_no_yaml_of_a_policy():
    with pytest.raises(PolicyError, match="p:1:8: a value is missing"):
        formatted("mode: [", "p")
    with pytest.raises(PolicyError, match="p:1:1: a policy must be a mapping of keys to values; found a list"):
        formatted("- a", "p")
    with pytest.raises(PolicyError, match="stands twice"):
        formatted("mode: off\nmode: off", "p")


@pytest.mark.parametrize(
    "result",
    [
        "mode: on  # a\nfallback: {on: [open], local_text: {en: a, es: b}}\n",  # another value
        "mode: off  # a\nfallback: {on: [open], local_text: {es: b, en: a}}\n",  # another order
        "mode: off  # a\nfallback: {on: [open, open], local_text: {en: a, es: b}}\n",  # another length
        "mode: off  # a\nfallback: {on: open, local_text: {en: a, es: b}}\n",  # another kind
        "mode: off  # a\nfallback: {local_text: {en: a, es: b}}\n",  # a key less
        "mode: off\nfallback: {on: [open], local_text: {en: a, es: b}}\n",  # a comment less
        "mode: off  # a a\nfallback: {on: [open], local_text: {en: a, es: b}}\n",  # another comment
        "mode: [",  # no YAML
    ],
)
def test_what_would_not_say_the_same_is_not_given(result):
    text = "fallback: {on: [open], local_text: {en: a, es: b}}\nmode: off  # a\n"
    assert checked(formatted(text, "p"), text, stated(text, "p"))
    with pytest.raises(UnfaithfulError):
        checked(result, text, stated(text, "p"))


def test_numbers_that_are_equal_and_written_in_another_kind_are_not_the_same():
    text = "retry_budget: {burst: 3}\n"
    with pytest.raises(UnfaithfulError, match="values"):
        checked("retry_budget: {burst: 3.0}\n", text, stated(text, "p"))


def test_comments_for_the_lint_go_on_silencing():
    text = """\
slo: {min_bad: 1}
targets:
  - reserve: 1s  # lint: ignore reserve-unused (why)
    name: switch
  # lint: ignore shield-off, reserve-over-half
  - shield: false
    name: madre
    # lint: ignore reserve-over-half
    reserve: 4s
# lint: ignore auth-off
auth: {mode: off}
deadline:
  # lint: ignore deadline-beyond-ui
  client: 6s
"""
    result = formatted(text, "p")
    assert result.startswith("auth:") is False
    for each in (text, result):
        found = lint(parse(each, "p"))
        assert {finding.code for finding in found} >= {
            "auth-off",
            "reserve-unused",
            "reserve-over-half",
            "deadline-beyond-ui",
        }
        left = {finding.code for finding in silence(found, {"p": each})}
        assert not left & {"auth-off", "reserve-unused", "reserve-over-half", "deadline-beyond-ui"}


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\ufeff"])
def test_characters_that_readers_disagree_about_are_refused_at_their_place(character):
    with pytest.raises(PolicyError) as raised:
        formatted(f"# a\nfallback: {{local_text: {{en: 'a{character}b'}}}}\n", "p")
    assert str(raised.value) == (
        f"p:2:31: U+{ord(character):04X} ends a line for some readers and not for others: delete it, or write it as \\u in double quotes"
    )


PARTS = ["mode", "off", ": ", "\n", "  ", "- ", "targets", "name: switch", "[", "]", "{", "}", ",", "'", '"', "\t", "#", " # c\n", "|\n",
         ">-\n", "|+\n", "|2\n", "? ", "\\x", "😀", "010", "retry:", "outcome:", "body: ", "local_text: ", "a: b", "\r\n", "---\n", "...\n",
         "\n\n", "a:\n", "b:\n", "  c: d\n", "- e\n", " \n"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
@settings(max_examples=150)
@example("body: |+\n # c\n  ")
@example("body: |+\n \n")
@example("a: # b\n\n  |2\n   c\n# d")
def test_noise_is_refused_or_comes_out_canonical(text):
    """Whatever the reader takes: no other error, and no fault of ours."""
    try:
        result = formatted(text, "p")
    except PolicyError:
        return
    assert formatted(result, "p") == result


# ── any policy, with comments anywhere ──


class Scribe:
    """Writes a policy in ways of its own, and remembers whose each comment is: its path, above or beside."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.numbers = itertools.count()
        self.lines: list[str] = []
        self.comments: list[str] = []
        self.owners: dict[str, tuple[tuple[str | int, ...], str]] = {}

    def maybe(self, chance: float = 0.3) -> bool:
        return self.rng.random() < chance

    def comment(self) -> str:
        self.comments.append(
            f"# {next(self.numbers)} {self.rng.choice(['why: so', '- a', '{', '#', 'lint: ignore auth-off', ''])}".rstrip()
        )
        return self.comments[-1]

    def above(self, path, indent: int) -> None:
        while self.maybe(0.2):
            self.lines.append("")
        while self.maybe(0.25):
            self.lines.append(" " * indent + self.comment())  # a blank line may follow: no owner is claimed
            if self.maybe(0.3):
                self.lines.append("  " * self.maybe())
        if self.maybe():
            self.lines.append(self.owned(path, "above", " " * indent))

    def owned(self, path, where: str, lead: str) -> str:
        comment = self.comment()
        self.owners[comment] = (path, where)
        return lead + comment

    def beside(self, path, line: str) -> None:
        self.lines.append(self.owned(path, "beside", line + " " * self.rng.randint(1, 5)) if self.maybe() else line)

    def foot(self, indent: int) -> None:
        while self.maybe(0.15):
            self.lines.append(" " * indent + self.comment())

    def mapping(self, value: dict[str, Any], path, indent: int, lead: str = "") -> None:
        keys = list(value)
        if path[-1:] != ("local_text",):
            self.rng.shuffle(keys)
        for key in keys:
            here, pad = (*path, key), lead or " " * indent
            if not lead:
                self.above(here, indent)
            lead = ""
            self.value(value[key], here, pad + self.text(key) + ":", indent)
        self.foot(indent)

    def sequence(self, value: list[Any], path, indent: int) -> None:
        for number, item in enumerate(value):
            here = (*path, number)
            self.above(here, indent)
            if isinstance(item, dict) and item and self.maybe(0.7):
                step = self.rng.randint(1, 3)
                self.mapping(item, here, indent + 1 + step, " " * indent + "-" + " " * step)
            else:
                self.value(item, here, " " * indent + "-", indent)
        self.foot(indent)

    def value(self, value: Any, path, lead: str, indent: int) -> None:
        if value and isinstance(value, dict) and self.maybe(0.7):
            self.beside(path, lead)
            self.mapping(value, path, indent + self.rng.randint(1, 5))
        elif value and isinstance(value, list) and self.maybe(0.7):
            self.beside(path, lead)
            compact = lead.endswith(":") and self.maybe()
            self.sequence(value, path, indent if compact else indent + self.rng.randint(1, 5))
        elif isinstance(value, str) and self.maybe(0.15):
            self.beside(path, lead + " |-")
            self.lines.append(" " * (indent + self.rng.randint(1, 4)) + value)
        elif self.maybe(0.1):
            self.lines.append(lead + " " * self.rng.randint(0, 2))
            self.beside(path, " " * (indent + self.rng.randint(1, 4)) + self.flow(value, ""))
        elif isinstance(value, dict | list) and value and self.maybe(0.4):
            self.beside(path, f"{lead} {self.flow(value, chr(10) + ' ' * (indent + self.rng.randint(1, 4)))}")
        else:
            self.beside(path, f"{lead} {self.flow(value, '')}")

    def flow(self, value: Any, breaks: str) -> str:
        if isinstance(value, dict):
            pairs = [f"{self.text(key)}: {self.flow(below, '')}" for key, below in value.items()]
            return "{ " + self.commas(pairs, breaks) + "}"
        if isinstance(value, list):
            return "[" + self.commas([self.flow(item, "") for item in value], breaks) + self.rng.choice(["", " "]) + "]"
        return self.text(value)

    def commas(self, parts: list[str], breaks: str) -> str:
        text = ""
        for part in parts:
            comma = "," + (breaks or self.rng.choice(["", " ", "  "]))
            if text and breaks and self.maybe():
                comma = f",  {self.comment()}{breaks}"
            text += (comma if text else "") + part
        return text

    def text(self, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, str):
            return repr(value)
        plain = value.isascii() and value.replace("_", "").replace("-", "").isalnum() and value[0].isalpha()
        quoted = [json.dumps(value, ensure_ascii=False), "'" + value.replace("'", "''") + "'"]
        return self.rng.choice(
            [*quoted, *([value] * 3 if plain and value.lower() not in ("true", "false", "null") else [])]
        )


def lines_of(node: Node, path=()) -> dict[tuple[str | int, ...], int]:
    """The line of every key and item."""
    found = {path: (node.key or node.place).line}
    inside = (
        node.value.items()
        if isinstance(node.value, dict)
        else enumerate(node.value)
        if isinstance(node.value, list)
        else ()
    )
    for part, below in inside:
        found |= lines_of(below, (*path, part))
    return found


@pytest.mark.uncounted
@given(POLICIES, st.integers(0, 2**32))
@settings(
    max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # a seed says little less when it is small
def test_any_policy_with_comments_anywhere(stated, seed):
    scribe = Scribe(random.Random(seed))
    scribe.above((), 0)
    scribe.owners.clear()
    scribe.mapping(stated, (), 0)
    text = "\n".join(scribe.lines) + "\n" * scribe.maybe(0.9)
    before = parse(text, "p")
    assert before.policy == Policy.model_validate(stated)

    note(text)
    result = formatted(text, "p")
    note(result)
    assert formatted(result, "p") == result
    after = parse(result, "p")
    assert (after.policy, after.revision) == (before.policy, before.revision)
    assert list(after.policy.fallback.local_text) == list(before.policy.fallback.local_text)

    written = result.splitlines()
    assert len(scribe.comments) == len(set(scribe.comments))
    for comment in scribe.comments:
        assert sum(line.endswith(comment) for line in written) == 1, comment
    root, _ = read(result, "p")
    lines = lines_of(root)
    for comment, (path, where) in scribe.owners.items():
        line = next(number for number, line in enumerate(written, 1) if line.endswith(comment))
        if where == "beside" and not written[line - 1].lstrip().startswith("#"):
            last = max(number for number in lines.values() if number <= line)  # of a value of several lines
            assert any(found[: len(path)] == path for found, number in lines.items() if number == last), (path, comment)
        else:
            between = written[line : lines[path] - 1]
            assert all(each.lstrip().startswith("#") for each in between), (where, path, comment)
            assert line < lines[path], (where, path, comment)
