"""``sidecar test``: what it prints, in which form, how it ends; and the cases that are shipped, which hold and can fail."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import textwrap
from pathlib import Path

import pytest

from sidecar import cli
from sidecar.core.draw import draw
from sidecar.policy.load import load, parse
from sidecar.replay.cases.document import read_cases
from sidecar.replay.cases.trial import try_case

POLICIES = Path(__file__).parents[2] / "policies"
SHIPPED = sorted((POLICIES / "tests").glob("*.yaml"))

TOO_LONG = [seed for seed in range(1, 21) if 0.051 + 0.025 * draw(seed, 1, 1) > 0.064]  # by the wait of 25 ms at most
CASES = """\
policy: p.yaml
cases:
  - name: a hung switch is left in time for madre
    given: {switch: hang}
    chats: {count: 3, every: 5s}
    expect:
      - {chats: all, provider: madre, within: 3.3s}
  - name: a second try helps
    given: {switch: [refuse, ok]}
    expect:
      - {chats: 1, provider: switch, within: 64ms}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("")
    Path("c.yaml").write_text(CASES)
    return tmp_path


def run(capsys, *argv):
    """Exit code and output of a run that came to one."""
    code = cli.main(["test", *map(str, argv)])
    printed = capsys.readouterr()
    assert printed.err == ""
    return code, printed.out


def refused(capsys, *argv):
    """What is said on standard error by a run that could not start as told: nothing on standard output, exit code 2."""
    assert cli.main(["test", *map(str, argv)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


# -- text --------------------------------------------------------------------------------------------------------------


def test_cases_that_hold_end_with_0(capsys, folder):
    Path("c.yaml").write_text(CASES.replace("64ms", "76ms"))
    code, out = run(capsys, "c.yaml")
    assert code == 0
    assert out == "Unit Testing:  c.yaml\n  SUCCESS (2 cases, seeds 1 to 20)\n"


def test_a_case_that_does_not_ends_with_1_and_is_shown(capsys, folder):
    code, out = run(capsys, "c.yaml")
    assert code == 1
    head, failed, place, about, *rows = out.splitlines()
    assert head == "Unit Testing:  c.yaml"
    assert failed == "  FAILED (1 of 2 cases, seeds 1 to 20):"
    assert place == "    c.yaml:11:9: a second try helps"
    assert about == f"      chat 1 (at 0ms), seed {TOO_LONG[0]} ({len(TOO_LONG)} of 20 seeds):"
    assert [row.split(":")[0].strip() for row in rows] == ["expected", "got", "attempts"]
    assert rows[0] == "        expected: within 64ms"
    assert rows[1].startswith("        got:      provider switch, after ")
    assert rows[2].startswith("        attempts: switch connect after 1ms; waited ")
    assert rows[2].endswith("; switch success after 50ms")


def test_how_often_it_fails_is_said(capsys, folder):
    Path("p.yaml").write_text("deadline: {client: 6s}")
    _, out = run(capsys, "c.yaml", "--run", "hung")
    assert "  FAILED (1 of 1 case, seeds 1 to 20):\n" in out
    assert "      chat 1 (at 0ms), seed 1 (20 of 20 seeds, 2 more chats):\n" in out
    _, out = run(capsys, "c.yaml", "--run", "hung", "--seeds", "1")
    assert "      chat 1 (at 0ms), seed 1 (2 more chats):\n" in out


def test_a_seed_that_fails_can_be_run_again_alone(capsys, folder):
    failures = json.loads(run(capsys, "c.yaml", "--output", "json")[1])["files"][0]["cases"][1]["failures"]
    [failure] = failures
    code, out = run(capsys, "c.yaml", "--seeds", "1", "--seed", failure["seed"])
    assert code == 1
    assert f"FAILED (1 of 2 cases, seed {failure['seed']}):" in out
    assert f"chat 1 (at 0ms), seed {failure['seed']}:" in out
    assert failure["got"] in out
    assert out == run(capsys, "c.yaml", "--seeds", "1", "--seed", failure["seed"])[1]


def test_verbose_names_every_case(capsys, folder):
    _, out = run(capsys, "c.yaml", "-v")
    assert out.splitlines()[:4] == [
        "Unit Testing:  c.yaml",
        "    holds   a hung switch is left in time for madre",
        "    FAILED  a second try helps",
        "  FAILED (1 of 2 cases, seeds 1 to 20):",
    ]


def test_cases_are_selected_by_name(capsys, folder):
    shutil.copy("c.yaml", "other.yaml")
    Path("other.yaml").write_text(CASES.replace("a hung switch", "a silent switch"))
    code, out = run(capsys, "c.yaml", "other.yaml", "--run", "hung|silent")
    assert code == 0
    assert out.count("SUCCESS (1 case, seeds 1 to 20)") == 2
    code, out = run(capsys, "c.yaml", "other.yaml", "--run", "^a silent")
    assert code == 0
    assert out == "Unit Testing:  other.yaml\n  SUCCESS (1 case, seeds 1 to 20)\n"


def test_another_policy_can_take_the_place_of_the_one_that_is_named(capsys, folder):
    Path("q.yaml").write_text("retry: {max_attempts: 1}")
    code, out = run(capsys, "c.yaml", "--policy", "q.yaml", "--run", "second")
    assert code == 1
    assert out.startswith("Unit Testing:  c.yaml, with q.yaml\n")
    assert "expected: provider switch, within 64ms\n" not in out  # 51 ms by madre: in time, by somebody else
    assert "expected: provider switch\n" in out


# -- JSON --------------------------------------------------------------------------------------------------------------


def test_json_has_everything_and_its_keys_are_these(capsys, folder):
    code, out = run(capsys, "c.yaml", "--output", "json")
    assert code == 1
    document = json.loads(out)
    assert list(document) == ["seeds", "files", "summary"]
    assert document["seeds"] == {"first": 1, "count": 20}
    assert document["summary"] == {"cases": 2, "failed": 1}
    [file] = document["files"]
    assert list(file) == ["file", "policy", "revision", "cases"]
    assert (file["file"], file["policy"], len(file["revision"])) == ("c.yaml", "p.yaml", 12)
    hung, second = file["cases"]
    assert hung == {"name": "a hung switch is left in time for madre", "line": 3, "passed": True, "failures": []}
    assert (second["line"], second["passed"]) == (8, False)
    [failure] = second["failures"]
    assert list(failure) == [
        "file", "line", "column", "about", "expected", "got", "how", "seed", "failing_seeds", "more_chats",
    ]  # fmt: skip
    assert (failure["file"], failure["line"], failure["column"]) == ("c.yaml", 11, 9)
    assert (failure["about"], failure["expected"]) == ("chat 1 (at 0ms)", "within 64ms")
    assert list(failure["how"]) == ["attempts"]
    assert (failure["seed"], failure["failing_seeds"], failure["more_chats"]) == (TOO_LONG[0], len(TOO_LONG), 0)


def test_a_failure_without_a_course_has_none(capsys, folder):
    Path("p.yaml").write_text("targets: [{name: switch}]")
    Path("c.yaml").write_text(
        "policy: p.yaml\ncases:\n  - name: n\n    events: [{at: 0s, override: {target: madre, kind: off}}]\n    expect: [{chats: 1, degraded: false}]\n"
    )
    code, out = run(capsys, "c.yaml", "--seeds", "2")
    assert code == 1
    assert out.splitlines()[2:] == [
        "    c.yaml:4:23: n",
        "      the override of madre at 0ms, seed 1 (2 of 2 seeds):",
        "        expected: madre on the ladder",
        "        got:      a policy in force that does not ask it",
    ]
    [case] = json.loads(run(capsys, "c.yaml", "--output", "json")[1])["files"][0]["cases"]
    assert case["failures"][0]["how"] == {}


# -- not played --------------------------------------------------------------------------------------------------------


def test_every_mistake_in_every_file_is_a_line_with_its_place_and_nothing_is_played(capsys, folder):
    Path("wrong.yaml").write_text(CASES.replace("hang", "hung").replace("64ms", "64"))
    Path("worse.yaml").write_text("policy: q.yaml\ncases: []\n")
    lines = refused(capsys, "c.yaml", "wrong.yaml", "worse.yaml", "none.yaml").splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "none.yaml:1:1", "worse.yaml:1:9", "worse.yaml:2:8", "wrong.yaml:4:21", "wrong.yaml:11:46",
    ]  # fmt: skip
    assert all(line.startswith("sidecar: ") for line in lines)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--run", "nobody"], "--run 'nobody': no case has such a name"),
        (["--run", "("], "--run '(': no regular expression: missing ), unterminated subpattern at position 0"),
        (["--seeds", "0"], "--seeds '0': must be a whole number from 1 to 100000"),
        (["--seeds", "many"], "--seeds 'many': must be a whole number from 1 to 100000"),
        (["--seed", "-1"], "--seed '-1': must be a whole number from 0 to 9223372036854775808"),
        (["--policy", "none.yaml"], "none.yaml:1:1: cannot be read (No such file or directory): name a readable file"),
    ],
)
def test_what_cannot_be_done_as_told_ends_with_2(capsys, folder, options, why):
    option, value = options
    assert refused(capsys, "c.yaml", f"{option}={value}") == f"sidecar: {why}\n"


def test_no_file_named_is_an_option_error(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["test"])
    assert ended.value.code == 2
    assert "CASES" in capsys.readouterr().err


# -- shipped -----------------------------------------------------------------------------------------------------------


def test_every_shipped_policy_has_cases():
    assert [file.name for file in SHIPPED] == sorted(file.name for file in POLICIES.glob("*.yaml"))


def test_the_shipped_cases_hold(capsys):
    code, out = run(capsys, *SHIPPED)
    assert code == 0, out
    assert out.count("SUCCESS") == len(SHIPPED)


DEFAULT = """\
deadline: {client: 6s}
deadline: {client: 4s}
deadline: {margin: 300ms}
deadline: {margin: 200ms}
timeouts: {connect: 500ms}
timeouts: {connect: 200ms}
timeouts: {attempt: 3s}
retry: {max_attempts: 1}
retry: {max_attempts: 3}
retry: {on: [503]}
retry: {on_timeout: true, only_if_unsent: false}
retry: {only_if_unsent: false}
retry: {backoff: {base: 100ms}}
retry_budget: {ratio: 10%}
retry_budget: {ratio: 50%}
retry_budget: {burst: 2}
retry_budget: {burst: 4}
breaker: {consecutive: 2}
breaker: {consecutive: 4}
breaker: {min_calls: 4}
breaker: {min_calls: 7}
breaker: {failure_rate: 40%}
breaker: {failure_rate: 60%}
breaker: {slow_call: {duration: 2s}}
breaker: {slow_call: {duration: 4s}}
breaker: {slow_call: {rate: 50%}}
breaker: {open: {base: 3s}}
breaker: {open: {base: 8s}}
breaker: {open: {max: 60s}}
breaker: {open: {multiplier: 1}}
breaker: {open: {jitter: 1}}
breaker: {half_open: {permits: 2}}
breaker: {half_open: {close_after: 1}}
breaker: {half_open: {close_after: 3}}
breaker: {window: {type: time, duration: 1s}}
breaker: {window: {size: 10}}
limiter: {queue_timeout: 100ms}
limiter: {queue_timeout: 300ms}
limiter: {max_concurrent: 3}
limiter: {max_concurrent: 5}
limiter: {queue: 7}
limiter: {queue: 9}
fallback: {local: error}
fallback: {on: [open, failure]}
dormant: {mode: obey}
dormant: {mode: ignore}
targets: [{name: madre}, {name: switch}, {name: local}]
targets: [{name: switch}, {name: local}]
targets: [{name: switch}, {name: madre, reserve: 1s}, {name: local}]
targets: [{name: switch, effects: none}, {name: madre}, {name: local}]
outcome: {failure: [{status: [200], body: {status: [ok]}}]}
"""
PATIENT = """\
deadline: {client: 29s}
deadline: {margin: 250ms}
timeouts: {connect: 500ms}
targets: [{name: switch, timeouts: {attempt: 17s}}, {name: madre}, {name: local}]
targets: [{name: switch}, {name: madre, reserve: 8s}, {name: local}]
retry: {max_attempts: 1}
breaker: {slow_call: {duration: 11s}}
breaker: {slow_call: {duration: 13s}}
breaker: {open: {base: 10s}}
breaker: {open: {base: 40s}}
limiter: {queue_timeout: 500ms}
limiter: {queue_timeout: 2s}
"""
SOLO_MADRE = """\
dormant: {mode: explain}
dormant: {mode: ignore}
targets: [{name: switch}, {name: local}]
"""
FIGURES = [
    (name, figure)
    for name, figures in (("default", DEFAULT), ("patient", PATIENT), ("solo_madre", SOLO_MADRE))
    for figure in figures.splitlines()
]


@pytest.fixture(scope="module")
def shipped():
    return {file.stem: read_cases(file).cases for file in SHIPPED}


@pytest.mark.parametrize(("name", "figure"), FIGURES, ids=lambda value: value)
def test_another_figure_makes_a_shipped_case_fail(shipped, tmp_path, name, figure):
    """Every figure of a policy that decides about a chat is held by a case of its file: changed by accident, it is seen."""
    changed = tmp_path / "changed.yaml"
    changed.write_text(f"extends: {POLICIES}/{name}.yaml\n{figure}\n")
    loaded = (
        parse(figure, "changed") if name == "default" else load(changed)
    )  # the default file says what an empty one does
    assert any(not try_case(case, loaded, range(1, 6)).held for case in shipped[name])


def test_and_the_command_line_says_which(capsys, tmp_path):
    changed = tmp_path / "changed.yaml"
    changed.write_text(f"extends: {POLICIES}/solo_madre.yaml\ndormant: {{mode: explain}}\n")
    code, out = run(capsys, POLICIES / "tests" / "solo_madre.yaml", "--policy", changed)
    assert code == 1
    assert "  FAILED (5 of 5 cases, seeds 1 to 20):\n" in out
    assert "attempts: switch timeout after 3.25s; madre success after 50ms\n" in out


# -- documented --------------------------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "policy-tests.md"
FILE = re.compile(r"^```yaml\n(# (\S+)\n.*?)^```", re.MULTILINE | re.DOTALL)
SESSION = re.compile(r"^    \$ sidecar (test .*)\n((?:    .*\n)+)", re.MULTILINE)


def test_what_the_document_shows_is_what_comes(capsys, folder):
    """Files and commands in the order in which they stand; each command prints exactly what is shown below it."""
    shutil.copy(POLICIES / "default.yaml", folder)
    Path("default-cases.yaml").write_text(
        (POLICIES / "tests" / "default.yaml").read_text().replace("../", f"{POLICIES}/")
    )
    text = DOCUMENT.read_text()
    steps = sorted([*FILE.finditer(text), *SESSION.finditer(text)], key=lambda found: found.start())
    played = 0
    for step in steps:
        if step.re is FILE:
            Path(step[2]).write_text(step[1])
            continue
        cli.main(shlex.split(step[1]))
        assert capsys.readouterr().out == textwrap.dedent(step[2])
        played += 1
    assert played == 4


def test_the_document_knows_how_many_figures_are_changed():
    assert f"makes {len(FIGURES)} changes" in DOCUMENT.read_text()
