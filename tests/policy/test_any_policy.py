"""For all: something wrong in every field of the schema, any valid policy there and back, any noise, and what is imported."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sidecar.policy.load import PolicyError, Problem, parse, revision_of
from sidecar.policy.model import Policy
from sidecar.policy.schema import schema


def outcome(text: str) -> tuple[Problem, ...]:
    """What is wrong with ``text``; nothing if it is a policy."""
    try:
        parse(text, "p")
    except PolicyError as error:
        return error.problems
    return ()


# ── every leaf of the schema, with something wrong in it ──


def _resolved(node: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    return defs[node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _leaves(node: dict[str, Any], defs: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    node = _resolved(node, defs)
    if node.get("type") == "object" and "properties" in node:
        for name, below in node["properties"].items():
            yield from _leaves(below, defs, (*path, name))
        return
    yield path
    if node.get("type") == "array" and "items" in node:
        yield from _leaves(node["items"], defs, (*path, 0))
    if "additionalProperties" in node:
        yield from _leaves(node["additionalProperties"], defs, (*path, "en"))


LEAVES = sorted(_leaves(schema(), schema()["$defs"], ()), key=str)
WRONG = ["{}", "[{wrong: here}]", "[]", "-1", ".nan", "~"]
# Where inside of the wrong value the mistake is seen: a list may be right and its entry wrong, or the entry's key.
INSIDE = {"[{wrong: here}]": (0, 1, 2)}


def test_there_are_leaves_enough() -> None:
    assert len(LEAVES) > 100


# What an entry of a list must state besides.
NEEDED = {
    ("targets", 0): ("name: switch",),
    ("chaos", 0): ("name: a", "target: any", "percentage: 1%", "cut: true", "expires_at: 2030-01-31T18:00:00Z"),
}


def _document(path: tuple[str | int, ...], wrong: str) -> tuple[str, int, int]:
    """A file with ``wrong`` at ``path``, and the line and column at which a human sees it."""
    lines = ["# a comment, so that line 1 is never right by chance"]
    indent, lead = 0, ""
    for part in path:
        if isinstance(part, int):
            lead = " " * indent + "- "
            for stated in NEEDED.get(path[:2], ()) if len(lines) == 2 and len(path) > 2 else ():
                if not stated.startswith(f"{path[2]}:"):
                    lines.append(lead + stated)
                    lead = " " * (indent + 2)
        else:
            lines.append((lead or " " * indent) + f"{part}:")
            lead = ""
        indent += 2
    if lead:
        lines.append(lead + wrong)
        return "\n".join(lines), len(lines), len(lead) + 1
    lines[-1] += f" {wrong}"
    return "\n".join(lines), len(lines), len(lines[-1]) - len(wrong) + 1


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_every_leaf_reports_its_own_line_and_column(path: tuple[str | int, ...]) -> None:
    reported = 0
    for wrong in WRONG:
        text, line, column = _document(path, wrong)
        problems = outcome(text)
        if not problems:
            continue  # an empty list is right for a list
        at_key = column - len(f"{path[-1]}: ") if isinstance(path[-1], str) else column
        columns = [at_key] if wrong == "~" else [column + inside for inside in INSIDE.get(wrong, (0,))]
        assert {problem.line for problem in problems} == {line}, problems
        assert problems[0].column in columns, problems
        reported += 1
    assert reported >= 3, "a leaf that takes nearly anything"


# ── round trip and noise ──

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs"], exclude_characters="\u2028\u2029\ufeff"),
    min_size=1,
    max_size=12,
)
DURATIONS = st.integers(1, 86_400_000).map("{}ms".format)
PERCENT = st.integers(0, 10_000).map(lambda n: f"{n / 100:.2f}%")
OBJECTIVE = st.integers(1, 999_999).map(lambda n: f"{n / 10_000:.4f}%")
COUNT = st.integers(1, 1_000_000)


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


RULE = st.one_of(
    st.fixed_dictionaries({"status": st.lists(st.integers(100, 599), min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {"error": st.just(["dns", "reset"]), "body": st.dictionaries(TEXT, st.lists(TEXT), max_size=2)}
    ),
)
SECTIONS: dict[str, st.SearchStrategy[Any]] = {
    "timeouts": _some(connect=DURATIONS, attempt=DURATIONS | st.just("auto")),
    "outcome": _some(failure=st.lists(RULE, max_size=2), degraded=st.lists(RULE, max_size=1)),
    "retry": _some(
        max_attempts=st.integers(1, 10),
        on=st.lists(st.integers(400, 599) | st.just("connect-failure"), max_size=3),
        on_timeout=st.booleans(),
        backoff=_some(base=DURATIONS, max=DURATIONS),
    ),
    "hedge": _some(enabled=st.booleans(), delay=DURATIONS | st.sampled_from(["p50", "p95"]), max_extra_load=PERCENT),
    "retry_budget": _some(ratio=PERCENT, burst=st.floats(0, 1000) | st.integers(0, 1000)),
    "breaker": _some(
        min_calls=st.integers(1, 20),
        failure_rate=PERCENT,
        open=_some(multiplier=st.floats(1, 10), jitter=st.floats(0, 1)),
    ),
    "limiter": _some(
        max_concurrent=COUNT,
        queue=st.integers(0, 100_000),
        queue_timeout=DURATIONS | st.just(0),
        adaptive=st.sampled_from(["off", "gradient"]),
        min_concurrent=st.just(1),
        tolerance=st.floats(1, 10),
        slow_start=DURATIONS | st.just(0),
    ),
}
CHAOS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True),
        "target": st.sampled_from(["switch", "madre", "any"]),
        "percentage": PERCENT,
        "delay": DURATIONS,
        "expires_at": st.sampled_from(["2030-01-31T18:00:00Z", "1999-12-31T23:59:59-11:30"]),
    },
    optional={"header": st.just({"x-chaos": "break-me"}), "abort": st.integers(400, 599) | st.just("dns")},
)
POLICIES = _some(
    chaos=st.lists(CHAOS, max_size=3, unique_by=lambda rule: rule["name"]),
    mode=st.sampled_from(["enforce", "shadow", "off"]),
    intercept=_some(commands=st.sampled_from(["relay", "intercept"])),
    auth=_some(sources=st.lists(st.sampled_from(["header", "bearer", "query"]), min_size=1, max_size=3, unique=True)),
    guards=_some(max_body=st.just("3MiB"), rate_limit=st.just("7 per 90s"), metadata_allow=st.lists(TEXT, max_size=2)),
    targets=st.permutations(["switch", "madre"]).flatmap(
        lambda names: st.tuples(*(_some(**SECTIONS).map(lambda s, n=n: {"name": n, **s}) for n in names)).map(list)
    ),
    affinity=_some(stick=DURATIONS | st.just(0)),
    fallback=_some(local_text=st.dictionaries(st.sampled_from(["en", "es", "no", "de"]), TEXT, min_size=1)),
    reply=_some(shape=st.sampled_from(["superset", "reference", "stub"])),
    relay=_some(timeouts=_some(stream=DURATIONS | st.just("none")), trusted_proxies=st.just(["10.0.0.0/8"])),
    idempotency=_some(
        mode=st.sampled_from(["off", "on"]),
        ttl=st.just("2h"),
        degraded_ttl=st.integers(0, 600_000).map(lambda n: f"{n}ms" if n else 0),
        max=COUNT,
        max_size=st.just("3MiB"),
        repeats=st.just("7 per 90s"),
        header=st.just("x-once"),
    ),
    journal=_some(dir=TEXT, keep=COUNT),
    slo=_some(availability=OBJECTIVE, undegraded=OBJECTIVE, latency=_some(quantile=OBJECTIVE, threshold=DURATIONS)),
    **SECTIONS,
)


@pytest.mark.uncounted
@given(POLICIES)
def test_a_policy_written_as_yaml_loads_as_the_same_policy(stated: dict[str, Any]) -> None:
    policy = Policy.model_validate(stated)
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(policy.model_dump(mode="json"), out)
    assume("?" not in out.getvalue())  # written plain in a flow list, and read there as the mark of a key
    loaded = parse(out.getvalue(), "p")
    assert loaded.policy == policy
    assert parse(policy.model_dump_json(), "p").revision == revision_of(policy)


PIECES = ["mode", "off", ": ", "\n", "  ", "- ", "targets", "name: switch", "[", "]", "{", "}", ",", "'", '"', "&a ", "*a", "!t ", "~", "\t",
          "---\n", "...\n", "%", "#", "|\n", ">\n", "? ", "\\x", "\\U00110000", "\ufeff", "\x85", "\u2028", "\x00", "\ud800", "😀", "010", ".nan",
          "1e999", "retry", "outcome", "body", "local_text", "extends", "<<", "@", "`", "\r", "9" * 5000]  # fmt: skip


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@example("%YAML 1.9\n---\nmode: off")
@example("%YAML x\n---\n")
@example("mode: |\n  off\n")
@example("a: b\n? ")
@example('"\\ud800": 1')
@example("outcome: {failure: [{body: {a: [{}]}}, {body: {'': [a]}}]}")
def test_noise_is_a_policy_or_a_policy_error(text: str) -> None:
    for problem in outcome(text):
        assert problem.line >= 1
        assert problem.column >= 1
        str(problem).encode()


IMPORTS = """
import sys
import sidecar.policy.load, sidecar.policy.schema
print(*sys.modules)
"""


def test_reading_a_policy_needs_neither_the_loop_nor_the_network_nor_a_clock() -> None:
    mine = Path(__file__).parents[2] / "sidecar" / "policy"
    forbidden = {
        "aiohttp",
        "asyncio",
        "tenacity",
        "prometheus_client",
        "socket",
        "threading",
        "time",
        "random",
        "datetime",
        "logging",
    }
    for file in mine.glob("*.py"):
        tree = ast.parse(file.read_text())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in names} & forbidden
        assert not {name for name in names if name.startswith("sidecar.") and not name.startswith("sidecar.policy")}
    loaded = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout.split()
    assert not {"ruamel.yaml", "difflib", "aiohttp", "tenacity", "prometheus_client"} & set(loaded)
