"""``sidecar replay``: what it prints, in which form, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar import cli
from sidecar.core.engine import Engine
from sidecar.core.line import SCHEMA, to_line
from sidecar.core.scene import Call
from sidecar.core.vocabulary import ErrorKind, Outcome
from sidecar.policy.model import Policy
from sidecar.replay.simulate import Arrival, Simulation

REFUSED = Outcome(error=ErrorKind.CONNECT)


def answer(now, call, step):
    """The switch is refused to every third call, madre answers."""
    good = Outcome(status=200, body={"status": "ok"}, text=True)
    return (0.01, REFUSED) if step.target == "switch" and call % 3 == 0 else (0.1, good)


def journal(calls=9, seed=7):
    """The lines of a sidecar that served so many calls."""
    lines = [{"in": "start", "schema": SCHEMA, "version": "0.1.0", "seed": seed}]

    def emit(fact):
        line = to_line(fact)
        if line is not None:
            lines.append(line)

    engine = Engine(0.0, Policy.model_validate({}), revision="r", source="built-in", seed=seed, emit=emit)
    world = type("World", (), {"answer": staticmethod(answer)})
    Simulation(engine, world).run(Arrival(10.0 * n, Call(n, 4.75, f"c{n}")) for n in range(1, calls + 1))
    return [orjson.dumps(line) + b"\n" for line in lines]


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(b"".join(journal()))
    return path


def run(capsys, *argv):
    """Exit code and output of a run that came to one."""
    code = cli.main(["replay", *map(str, argv)])
    printed = capsys.readouterr()
    assert printed.err == ""
    return code, printed.out


def refused(capsys, *argv):
    """What is said on standard error by a run that could not start as told: nothing on standard output, exit code 2."""
    assert cli.main(["replay", *map(str, argv)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


# -- replayed ----------------------------------------------------------------------------------------------------------


def test_a_journal_that_came_out_the_same_ends_with_0(capsys, recorded):
    code, out = run(capsys, recorded)
    assert code == 0
    assert out == (
        "9 calls in 1 run: 9 came out the same, 0 differ, 0 were not over\n"
        "                         recorded\n"
        "answered by the primary  6\n"
        "answered by a fallback   3\n"
        "answered by us (local)   0\n"
        "failed                   0\n"
        "degraded                 33.33 %\n"
        "available                100 %\n"
        "by madre                 3\n"
        "by switch                6\n"
        "reason failure           3\n"
        "reason none              6\n"
        "attempts per call        1.667\n"
        "p50                      100 ms\n"
        "p95                      144 ms\n"
        "p99                      144 ms\n"
        "switch open              9.956 s\n"
        "deadlines missed         0\n"
    )


def rows(out):
    """The table, by the words a row begins with."""
    return {line[:23].strip(): line[23:].split() for line in out.splitlines()[1:]}


def test_candidates_stand_beside_what_was_recorded(capsys, recorded, tmp_path):
    once, madre = tmp_path / "once.yaml", tmp_path / "madre.yaml"
    once.write_text("retry: {max_attempts: 1}\n")
    madre.write_text("targets: [{name: madre}, {name: local}]\n")
    code, out = run(capsys, recorded.parent, "--policy", once, "--policy", madre)
    assert code == 0
    assert out.splitlines()[1].split() == ["recorded", str(once), str(madre)]
    table = rows(out)
    assert table["by madre"] == ["3", "3", "9"]
    assert table["by switch"] == ["6", "6", "0"]
    assert table["attempts per call"] == ["1.667", "1.333", "1"]
    assert f"Made up for {once}: 0 censored, 0 imputed, 0 unknown of 12 attempts" in out
    assert f"Made up for {madre}: 0 censored, 6 imputed, 0 unknown of 9 attempts" in out
    assert "Taken for granted:\n- madre has one period" in out
    assert "Differences" not in out  # of nine calls there is nothing to be sure of


def test_with_enough_calls_figures_have_intervals_and_differences_a_verdict(capsys, recorded, tmp_path):
    recorded.write_bytes(b"".join(journal(300)))
    once, madre = tmp_path / "once.yaml", tmp_path / "madre.yaml"
    once.write_text("retry: {max_attempts: 1}\n")
    madre.write_text("targets: [{name: madre}, {name: local}]\n")
    _, out = run(capsys, recorded, "--policy", once, "--policy", madre, "--draws", "2")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "Differences, with the interval of 95% confidence:" in lines
    assert f"{madre} against {once}:" in lines  # candidates share their luck
    first = lines[lines.index(f"{once} against recorded:") :]
    attempts = next(line for line in first if line.startswith("attempts per call"))
    assert attempts.endswith(": less")
    assert next(line for line in first if line.startswith("available")).endswith(": no clear difference")
    second = lines[lines.index(f"{madre} against recorded:") :]
    assert next(line for line in second if line.startswith("degraded")).endswith(": less")
    assert "drawn 2 times" in out
    document = json.loads(run(capsys, recorded, "--policy", once, "--output", "json")[1])
    low, high = document["candidates"][0]["intervals"]["p50"]
    assert low <= document["candidates"][0]["figures"]["latency_seconds"]["p50"] * 1.01
    assert high >= low
    assert {one["figure"] for one in document["differences"]} >= {"degraded_share", "availability", "p95"}


def test_candidates_are_the_same_on_one_core_and_on_two(capsys, recorded):
    recorded.write_bytes(b"".join(journal(120)))
    arguments = (recorded, "--policy", write_policy(recorded), "--draws", "3", "--output", "json")
    assert run(capsys, *arguments, "--cores", "1") == run(capsys, *arguments, "--cores", "2")


def test_a_scenario_happens_besides(capsys, recorded, tmp_path):
    outage = tmp_path / "outage.yaml"
    outage.write_text("disturbances:\n  - {target: switch, from: 0s, for: 1h, outage: refuse}\n")
    _, out = run(capsys, recorded, "--policy", write_policy(recorded), "--scenario", outage)
    assert rows(out)["by madre"] == ["3", "9"]
    assert f"what {outage} says" in out
    outage.write_text("disturbances:\n  - {from: 0s, for: 1h, chats: 3}\n")
    document = json.loads(
        run(capsys, recorded, "--policy", write_policy(recorded), "--scenario", outage, "--output", "json")[1]
    )
    assert document["candidates"][0]["figures"]["calls"] == 27


def test_a_scenario_with_a_mistake_ends_with_2_and_its_place(capsys, recorded, tmp_path):
    outage = tmp_path / "outage.yaml"
    outage.write_text("disturbances:\n  - {target: switch, from: 0s, for: 1h, outage: explode}\n")
    assert refused(capsys, recorded, "--scenario", outage).startswith(f"sidecar: {outage}:2:49: ")


def test_a_report_is_one_page_with_everything_in_it(capsys, recorded, tmp_path):
    page = tmp_path / "report.html"
    code, _ = run(capsys, recorded, "--policy", write_policy(recorded), "--report", page)
    assert code == 0
    text = page.read_text()
    assert str(recorded) in text
    assert "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_a_report_that_cannot_be_written_ends_with_2(capsys, recorded, tmp_path):
    assert cli.main(["replay", str(recorded), "--report", str(tmp_path / "no" / "report.html")]) == 2
    assert "report.html: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--cores", "--draws"])
def test_a_count_that_is_none_is_an_option_error(capsys, recorded, option):
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay", str(recorded), option, "0"])
    assert ended.value.code == 2
    assert "no whole number" in capsys.readouterr().err


def test_breaker_time_is_shown_where_there_was_any(capsys, recorded, tmp_path):
    nervous = tmp_path / "nervous.yaml"
    nervous.write_text("breaker: {consecutive: 1, open: {jitter: 0}}\n")
    _, out = run(capsys, recorded, "--policy", nervous)
    recorded_seconds, _, nervous_seconds, _ = rows(out)["switch open"]
    assert 0 < float(recorded_seconds) < float(nervous_seconds)


def test_json_has_everything_that_text_has_and_its_keys_are_these(capsys, recorded):
    code, out = run(capsys, recorded, "--policy", write_policy(recorded), "--draws", "1", "--output", "json")
    assert code == 0
    document = json.loads(out)
    assert list(document) == [
        "runs", "skipped_lines", "messages", "fidelity", "recorded", "recorded_intervals", "candidates", "differences", "confidence",
        "assumptions",
    ]  # fmt: skip
    assert document["fidelity"] == {"calls": 9, "same": 9, "differing": 0, "unfinished": 0, "examples": []}
    [candidate] = document["candidates"]
    assert list(candidate) == ["policy", "revision", "figures", "intervals", "assumed_attempts"]
    assert candidate["assumed_attempts"] == {"censored": 0, "imputed": 0, "unknown": 0}
    assert candidate["figures"] == document["recorded"]
    assert list(document["recorded"]) == [
        "calls", "outcomes", "providers", "reasons", "verdicts", "degraded_share", "availability", "attempts", "attempts_per_call",
        "latency_seconds", "breaker_open_seconds", "deadline_misses",
    ]  # fmt: skip
    assert len(candidate["revision"]) == 12


def write_policy(recorded):
    path = recorded.parent / "default.yaml"
    path.write_text("")
    return path


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_same_journal_prints_the_same_twice(capsys, recorded, output):
    arguments = (recorded, "--policy", write_policy(recorded), "--output", output)
    assert run(capsys, *arguments) == run(capsys, *arguments)


def test_calls_that_differ_end_with_1_and_are_shown(capsys, recorded):
    lines = [line.replace(b'"provider":"madre"', b'"provider":"switch"') for line in journal()]
    recorded.write_bytes(b"".join(lines))
    code, out = run(capsys, recorded)
    assert code == 1
    assert out.startswith(
        "9 calls in 1 run: 6 came out the same, 3 differ, 0 were not over\ncall 3: recorded [{'in': 'judged', "
    )
    code, out = run(capsys, recorded, "--output", "json")
    assert code == 1
    assert json.loads(out)["fidelity"]["differing"] == len(json.loads(out)["fidelity"]["examples"]) == 3


def test_what_was_skipped_is_counted_and_shown_and_alone_no_difference(capsys, recorded):
    recorded.write_bytes(b"".join([*journal(), *[b"junk\n"] * 30, b"cut o"]))
    code, out = run(capsys, recorded)
    assert code == 0
    first, second, third, *_ = out.splitlines()
    assert first == "9 calls in 1 run: 9 came out the same, 0 differ, 0 were not over"
    assert second == "31 lines skipped:"
    number = len(journal()) + 1
    assert third == f"{recorded}:{number}: not JSON"
    assert "and more" in out
    assert json.loads(run(capsys, recorded, "--output", "json")[1])["skipped_lines"] == 31


def test_two_runs_in_a_directory_are_two_runs(capsys, recorded):
    recorded.with_name("journal-000002.jsonl").write_bytes(b"".join(journal(6, seed=8)))
    code, out = run(capsys, recorded.parent)
    assert code == 0
    assert out.startswith("15 calls in 2 runs: 15 came out the same")


def test_a_journal_without_the_end_of_any_call_has_nothing_to_be_held_against(capsys, recorded):
    """Nothing compared is not everything the same."""
    recorded.write_bytes(b"".join(line for line in journal() if b'"in":"ended"' not in line))
    code, out = run(capsys, recorded)
    assert code == 0
    assert out.splitlines()[0] == "0 calls in 1 run: nothing to compare, for the end of no call was recorded"


# -- damaged -----------------------------------------------------------------------------------------------------------

DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["cut", "flip", "drop", "twice", "swap", "junk", "field"]),
        st.integers(0, 10_000),
        st.binary(max_size=5),
    ),
    min_size=1,
    max_size=6,
)


def damaged(lines, damage):
    """What is left of a journal after some accidents."""
    lines = list(lines)
    for kind, where, what in damage:
        at = where % len(lines)
        line = lines[at]
        middle = where % max(len(line), 1)
        if kind == "cut":
            lines[at] = line[:middle]
        elif kind == "flip":
            lines[at] = line[:middle] + what + line[middle + len(what) :]
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "twice":
            lines.insert(at, line)
        elif kind == "swap":
            lines[at], lines[0] = lines[0], lines[at]
        elif kind == "junk":
            lines.insert(at, what + b"\n")
        else:
            lines[at] = line.replace(b":", b':null,"x":', where % 3)
    return b"".join(lines)


@settings(max_examples=60)
@given(DAMAGE)
def test_a_damaged_journal_is_read_as_far_as_it_can_be_and_never_ends_in_a_traceback(tmp_path_factory, damage):
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "journal-000001.jsonl"
    path.write_bytes(damaged(journal(12), damage))
    policy = folder / "candidate.yaml"
    policy.write_text("timeouts: {attempt: 2s}\nretry: {max_attempts: 3}\n")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["replay", str(path), "--policy", str(policy), "--draws", "1"])
    assert code in (0, 1, 2)
    if code == 2:
        assert f"sidecar: {path}" in err.getvalue()
    else:
        assert err.getvalue() == ""
        if "skipped" in out.getvalue():
            assert f"{path}:" in out.getvalue()


# -- not replayed ------------------------------------------------------------------------------------------------------


def test_a_missing_file_ends_with_2_and_its_name(capsys, tmp_path):
    said = refused(capsys, tmp_path / "no.jsonl")
    assert said == f"sidecar: {tmp_path}/no.jsonl: No such file or directory\n"


@pytest.mark.parametrize("content", [b"", b"# notes\n", b"\x89PNG\r\n\x1a\n\x00", b'{"in":"call"}\n'])
def test_a_file_without_a_run_ends_with_2_and_why(capsys, tmp_path, content):
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(content)
    said = refused(capsys, path)
    assert said.startswith(f"sidecar: {path}: nothing to replay: no start line: ")
    assert said.count("\n") == 1


def test_a_directory_without_journals_ends_with_2(capsys, tmp_path):
    assert refused(capsys, tmp_path) == f"sidecar: {tmp_path}: nothing to replay: no journal-*.jsonl in it\n"


def test_a_bad_policy_ends_with_2_and_its_line(capsys, recorded):
    path = recorded.parent / "bad.yaml"
    path.write_text("retry:\n  max_attempts: 0\n")
    said = refused(capsys, recorded, "--policy", path)
    assert said.startswith(f"sidecar: {path}:2:17: ")


def test_a_policy_that_is_not_there_ends_with_2(capsys, recorded):
    said = refused(capsys, recorded, "--policy", recorded.parent / "no.yaml")
    assert "no.yaml" in said


def test_no_journal_named_is_an_option_error(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["replay"])
    assert ended.value.code == 2
    assert "JOURNAL" in capsys.readouterr().err
