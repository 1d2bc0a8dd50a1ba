"""Mistakes planted in policy files, one in every field of the schema: ``sidecar check`` reports each at its line and column."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import check
from sidecar.policy.lint import CODES
from sidecar.policy.load import PolicyError, load

from .test_any_policy import INSIDE, LEAVES, WRONG, _document

SHIPPED = Path(__file__).parents[2] / "policies"


def checked(folder: Path, *texts: str | bytes) -> list[tuple[int, list[dict[str, Any]]]]:
    """Exit code of each text, checked alone with all the others, and the problems in it."""
    files = [folder / f"{number}.yaml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = check.run(argparse.Namespace(files=files, output="json", rate=None, p95=[]))
    reports = json.loads(out.getvalue())["files"]
    assert code == int(any(report["problems"] or report["findings"] for report in reports))
    assert all(problem["file"] == report["file"] for report in reports for problem in report["problems"])
    return [(int(bool(report["problems"])), report["problems"]) for report in reports]


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_value_in_any_field_is_reported_where_it_stands(path: tuple[str | int, ...], tmp_path: Path) -> None:
    planted = [_document(path, wrong) for wrong in WRONG]
    reported = 0
    for (_, line, column), (code, problems), wrong in zip(
        planted, checked(tmp_path, *(text for text, *_ in planted)), WRONG, strict=True
    ):
        if not problems:
            continue  # an empty list is right for a list
        at_key = column - len(f"{path[-1]}: ") if isinstance(path[-1], str) else column
        columns = [at_key] if wrong == "~" else [column + inside for inside in INSIDE.get(wrong, (0,))]
        assert code == 1
        assert {problem["line"] for problem in problems} == {line}, problems
        assert problems[0]["column"] in columns, problems
        assert {problem["severity"] for problem in problems} == {"error"}
        assert {problem["code"] for problem in problems} <= {"invalid"}
        reported += 1
    assert reported >= 3, "a field that takes nearly anything"


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("deadline:\n  client: 5s\nmode: off\ndeadline:\n  client: 6s\n", [(4, 1)]),
        ("retry:\n  max_attempts: 2\n  max_attempts: 3\n", [(3, 3)]),
        ("auth:\n\tmode: off\n", [(2, 1)]),
        ("auth:\n  mode: off\n\theader: a\n", [(3, 1)]),
        (BOMB, [(1, 4), (2, 4), (2, 8), (2, 12), (3, 5), (3, 9)]),
        ("deadline:\n  client: 1:30\n", [(2, 11)]),
        ("retry:\n  max_attempts: 010\n", [(2, 17)]),
        ("retry_budget:\n  burst: .nan\n", [(2, 10)]),
        ("retry_budget:\n  burst: .inf\n", [(2, 10)]),
        ("deadline:\n  client: 5\n  margin: 250\n", [(2, 11), (3, 11)]),
        ("guards: {max_body: 64}\nbreaker: {failure_rate: 50}\n", [(1, 20), (2, 25)]),
        ("retry:\n  on_timeout: no\n", [(2, 15)]),
        ("deadline: {client: 2024-01-01}\n", [(1, 20)]),
        ("mode: [off\n", [(2, 1)]),
        ("mode: 'off\n", [(2, 1)]),
        ("mode: off\nretr", [(2, 5)]),
        ("mode: off\r\nretrys: {}\r\n", [(2, 1)]),
        ("# ñandú\nmode: ñ\n", [(2, 7)]),
        (b"mode: off\n# \xff\n", [(2, 3)]),
        (b"", []),
    ],
)
def test_pitfalls_of_yaml_are_reported_where_they_stand(
    text: str | bytes, places: list[tuple[int, int]], tmp_path: Path
) -> None:
    ((_, problems),) = checked(tmp_path, text)
    found = [(problem["line"], problem["column"]) for problem in problems]
    assert [place for place in found if place in places] == places
    if text != BOMB:  # of which the keys are unknown as well
        assert found == places


def test_a_file_that_is_still_being_written_is_refused_at_its_end_or_is_a_policy(tmp_path: Path) -> None:
    whole = (SHIPPED / "default.yaml").read_bytes()
    halves = [whole[:length] for length in range(0, len(whole), 199)]
    for half, (code, problems) in zip(halves, checked(tmp_path, *halves), strict=True):
        last = half.count(b"\n") + 1
        assert code == bool(problems)
        assert all(1 <= problem["line"] <= last for problem in problems)
        # Whatever was cut is the last thing in the file, or the section that it is the last of.
        assert len({problem["line"] for problem in problems}) <= 1


def test_check_and_load_agree_on_what_is_wrong(tmp_path: Path) -> None:
    text = "mode: shade\ntimeouts: {conect: 3s, connect: 300}\ntargets: [{name: nobody}, {}]\n"
    ((_, problems),) = checked(tmp_path, text)
    with pytest.raises(PolicyError) as raised:
        load(tmp_path / "0.yaml")
    assert [(p["line"], p["column"], p["path"], p["message"]) for p in problems] == [
        (p.line, p.column, p.path, p.message) for p in raised.value.problems
    ]


def test_the_codes_of_mistakes_and_of_findings_are_apart() -> None:
    assert not {"invalid", "unreadable"} & CODES.keys()
