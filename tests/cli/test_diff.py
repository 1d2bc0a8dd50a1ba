"""``sidecar diff``: what it prints, in which form, and how it ends."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.cli import diff, main

SHIPPED = Path(__file__).parents[2] / "policies"
DEFAULT = SHIPPED / "default.yaml"


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    diff.add_options(parser)
    code = diff.run(parser.parse_args([str(each) for each in argv]))
    printed = capsys.readouterr()
    assert printed.err == ""
    return code, printed.out


def write(folder: Path, text: str, name: str = "policy.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_policies_that_behave_alike(capsys):
    code, out = run(capsys, "built-in", DEFAULT)
    assert code == 0
    assert out.splitlines()[2:] == ["", "No value differs: these policies behave alike."]
    code, out = run(capsys, "--all", "built-in", DEFAULT)
    row = next(line for line in out.splitlines() if line.startswith("  a chat is answered after, at the latest  "))
    assert (code, row.split()[-2:]) == (0, ["4.75s", "4.75s"])


def test_what_differs_in_words_and_figures(capsys, tmp_path):
    text = "targets:\n  - name: switch\n    timeouts: {attempt: 1s}\n  - name: madre\nbreaker: {min_calls: 1}\njournal: {keep: 2}\nslo: {min_bad: 1}\n"
    file = write(tmp_path, text)
    code, out = run(capsys, "built-in", tmp_path)
    assert code == 1
    head, *sections = out.split("\n\n")
    assert [line.split(", ")[0] for line in head.splitlines()] == ["--- built-in", f"+++ {tmp_path}"]
    found = {section.splitlines()[0]: section.splitlines()[1:] for section in sections}
    assert found["How long it takes"] == [
        "  timeouts.attempt of switch: auto → 1s",
        "      a silent switch is left after 1s at most instead of 3.25s, and what is left goes to madre",
        f"      stated: built in → {file}:3:25",
    ]
    assert found["How hard targets are asked"][:4] == [
        "  breaker.min_calls of switch: 5 → 1",
        "      the rates of switch are read from 1 call on instead of 5: its breaker can open sooner by them",
        f"      stated: built in → {file}:5:22",
        "      on reload: what was counted stays, and is judged by the new number",
    ]
    assert [line.split()[:3] for line in found["Figures"][1:3]] == [
        ["switch:", "attempt", "timeout"],
        ["switch:", "takes", "at"],
    ]
    assert [line.rsplit(" ", 1)[1] for line in found["New findings"]] == ["[slow-call-never]", "[breaker-trips-on-one]"]
    assert found["New findings"][1].startswith(f"  {file}:5:22: warning: breaker.min_calls: one bad call opens it")
    assert found["To know"] == [
        "  takes effect only when the sidecar starts again: journal.keep",
        "  takes effect only when alert rules are built anew (sidecar rules build): slo.min_bad",
    ]
    code, out = run(capsys, tmp_path, "built-in")
    assert (code, "\nFindings that are gone\n" in out) == (1, True)


def test_the_way_between_two_shipped_files(capsys):
    code, out = run(capsys, DEFAULT, SHIPPED / "solo_madre.yaml")
    first, second, third, fourth, *stated = out.splitlines()[2:]
    assert (code, first, second) == (1, "", "Who answers")
    assert (third, fourth) == (
        "  dormant.mode: explain → obey",
        "      a switch that madre calls off is not asked: madre is asked at once",
    )
    assert " ".join(" ".join(stated).split()).startswith(f"stated: {DEFAULT}:")
    assert "Figures" not in out


def test_long_sentences_are_broken_and_places_are_not(capsys, tmp_path):
    _, out = run(capsys, DEFAULT, write(tmp_path, "deadline: {client: 30s}\n"))
    said = [line for line in out.partition("\nFigures\n")[0].splitlines() if line.startswith("      ")]
    assert any(line.startswith("        ") for line in said)
    assert max(map(len, said)) <= 120
    assert f"{tmp_path}/policy.yaml:1:20" in out


def test_a_finding_alone_is_no_difference(capsys, tmp_path):
    code, out = run(capsys, "built-in", write(tmp_path, "mode: enforce  # lint: ignore auth-of\n"))
    assert (code, "[ignores-nothing]" in out) == (0, True)


def test_a_file_called_built_in_comes_first(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "mode: off\n", "built-in")
    assert run(capsys, "built-in", DEFAULT)[0] == 1


def test_json_is_one_object_and_the_docstring_names_its_keys(capsys, tmp_path):
    file = write(tmp_path, "auth: {mode: off}\nlimiter: {queue: 1}\n")
    code, out = run(capsys, "--output", "json", "built-in", file)
    whole = json.loads(out)
    assert code == 1
    assert whole["after"]["file"] == str(file)
    assert whole["before"]["figures"]["answer_by"] == 4.75
    assert [(each["group"], each["path"], each["target"]) for each in whole["changes"]] == [
        ("load", "limiter.queue", "switch"),
        ("load", "limiter.queue", "madre"),
        ("passage", "auth.mode", None),
    ]
    assert whole["changes"][2] | {"words": ""} == {
        "group": "passage", "path": "auth.mode", "target": None, "before": "token", "after": "off", "stated_before": "built in",
        "stated_after": f"{file}:1:14", "words": "", "effect": "start",
        "memory": "while serving a file alone cannot turn it off: the reload is refused, and the policy before stays in force",
    }  # fmt: skip
    assert [row["figure"] for row in whole["rows"]] == ["at_once", "at_once"]
    assert (whole["new_findings"][0]["code"], whole["gone_findings"], whole["notes"]) == ("auth-off", [], [])
    keys = {*whole, *whole["before"], *whole["changes"][0], *whole["rows"][0]}
    assert {key for key in keys if f'"{key}"' not in diff.__doc__} == set()


def test_trouble_is_2_with_every_place(capsys, tmp_path):
    wrong = write(tmp_path, "mode: of\nretry: {max_attempts: 0}\n")
    assert main(["diff", str(wrong), str(tmp_path / "none.yaml")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(": ")[1] for line in printed.err.splitlines()] == [
        f"{tmp_path}/none.yaml:1:1",
        f"{wrong}:1:7",
        f"{wrong}:2:23",
    ]


def test_as_a_process(tmp_path, record_property):
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "sidecar", "diff", str(DEFAULT), str(SHIPPED / "patient.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    record_property(
        "diff figures", f"sidecar diff of default and patient, as a process: {time.perf_counter() - began:.2f} s"
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert (
        "a silent switch is left after 18s at most instead of 3.25s, then madre has 10s instead of 1.5s at least"
        in " ".join(ran.stdout.split())
    )
