"""``sidecar recommend``: what it prints and writes, and how it ends."""

from __future__ import annotations

import io
import json
import os

import pytest
from recorded import lines, write

from sidecar import cli
from sidecar.cli import progress, recommend
from sidecar.policy.load import load
from sidecar.replay.figures import intervals
from sidecar.replay.recommend import advice as module


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """In this process, and with one draw: what is said is looked at here, not how sure it is."""
    monkeypatch.setattr(module.Study, "repeats", property(lambda _: 1))
    monkeypatch.setattr(intervals, "RESAMPLES", 60)


@pytest.fixture
def kept(tmp_path):
    directory = tmp_path / "journal"
    directory.mkdir()
    return write(directory / "journal-000001.jsonl", lines(450))


def run(capsys, *argv):
    """Exit code and output of a run that came to one."""
    code = cli.main(["recommend", "--cores", "1", *map(str, argv)])
    printed = capsys.readouterr()
    assert printed.err == ""
    return code, printed.out


def refused(capsys, *argv):
    """What is said on standard error by a run that could not do as told: nothing on standard output, exit code 2."""
    assert cli.main(["recommend", *map(str, argv)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


# -- proposed ----------------------------------------------------------------------------------------------------------


def test_it_says_what_to_change_why_and_what_comes_of_it(capsys, kept):
    code, out = run(capsys, kept.parent)
    assert code == 0
    said = out.splitlines()
    assert said[0].startswith("450 calls; the policy of today is built-in (")
    place = next(
        number for number, line in enumerate(said) if line.startswith("switch breaker.slow_call.duration: 3s → 1.5s  [")
    )
    assert said[place + 1].startswith("    9")
    assert said[place + 1].endswith("; 1.5s is half of what slo.latency promises")
    assert said[place + 2].startswith("    alone: ")
    assert any(line.startswith("switch hedge.delay: 0.1") for line in said)
    assert any(line.startswith("switch timeouts.attempt: nothing proposed: not enough data: ") for line in said)
    assert "recorded" in out
    assert "Taken for granted:" in said
    verdicts = ("Better: ", "No better in this traffic: ", "Not to be used as it is: ")
    assert sum(line.startswith(verdicts) for line in said) == 1


def test_json_has_everything_that_text_has_and_its_keys_are_these(capsys, kept):
    code, out = run(capsys, kept, "--output", "json")
    assert code == 0
    document = json.loads(out)
    assert list(document) == [
        "calls", "policy", "calls_of_single_trials", "proposals", "missing", "hedge_seconds", "proposed_revision", "figures", "verdict",
        "replay",
    ]  # fmt: skip
    assert list(document["proposals"][0]) == [
        "target", "path", "present", "value", "evidence", "n", "confidence", "group", "kept", "left_out", "alone",
    ]  # fmt: skip
    assert list(document["missing"][0]) == ["target", "path", "why", "n", "enough"]
    assert list(document["figures"]) == ["recorded", "today", "proposed"]
    assert all(len(part) == 3 for part in document["proposals"][0]["alone"].values())
    assert document["calls"] == document["calls_of_single_trials"] == document["figures"]["today"]["calls"] == 450
    assert document["replay"]["candidates"][1]["revision"] == document["proposed_revision"]
    assert list(document["hedge_seconds"]["switch"]) == ["share", "seconds", "low", "high", "n"]


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_same_journal_prints_the_same_twice(capsys, kept, output):
    assert run(capsys, kept, "--output", output) == run(capsys, kept, "--output", output)


def test_infinite_edges_are_null(capsys, kept, monkeypatch):
    quantile = recommend_quantile(high=float("inf"))
    assert recommend._finite(quantile) == {"share": 0.95, "seconds": 1.0, "low": 0.5, "high": None, "n": 9}


def recommend_quantile(high):
    from sidecar.replay.recommend.quantiles import Quantile  # noqa: PLC0415

    return Quantile(0.95, 1.0, 0.5, high, 9)


def test_what_is_left_out_is_marked(capsys, kept, monkeypatch):
    monkeypatch.setattr(module, "hurts", lambda differences: True)
    code, out = run(capsys, kept)
    assert code == 1
    assert "  LEFT OUT: alone it makes things worse\n" in out
    assert "Nothing is proposed: " in out


def test_a_long_journal_says_out_of_how_many_calls_single_trials_are(capsys, kept, monkeypatch):
    monkeypatch.setattr(module.advise, "__kwdefaults__", {"most_alone": 200, "draws": 1})
    _, out = run(capsys, kept)
    assert (
        out.splitlines()[1]
        == "Single trials are out of 200 of them, in stretches spread evenly; both policies together out of all."
    )


# -- nothing proposed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [0, 1, 50])
def test_a_short_journal_ends_with_1_and_says_so_of_every_field(capsys, tmp_path, calls):
    code, out = run(capsys, write(tmp_path / "j.jsonl", lines(calls)))
    assert code == 1
    assert out.count(": nothing proposed: not enough data: ") == 12
    assert "Nothing is proposed: not enough data." in out
    document = json.loads(run(capsys, tmp_path / "j.jsonl", "--output", "json")[1])
    assert (document["proposals"], document["hedge_seconds"]) == ([], {})


# -- journals ----------------------------------------------------------------------------------------------------------


def test_several_runs_in_a_directory_count_together(capsys, kept):
    write(kept.with_name("journal-000002.jsonl"), lines(150, seed=8))
    code, out = run(capsys, kept.parent)
    assert code == 0
    assert out.startswith("600 calls; ")
    assert "600 calls in 2 runs: 600 came out the same" in out


def test_a_run_whose_beginning_is_missing_is_read_from_where_it_goes_on(capsys, kept):
    whole = lines(450)
    adopt = json.loads(whole[1])
    heading = {**json.loads(whole[0]), **adopt, "in": "continued", "file": 2, "run": "x", "at": 100.0}
    rest = [line for line in whole[2:] if json.loads(line).get("at", 1000.0) >= 100.0]
    first = next(number for number, line in enumerate(rest) if b'"in":"call"' in line)
    write(kept, [json.dumps(heading).encode() + b"\n", *rest[first:]])
    code, out = run(capsys, kept)
    assert code == 0
    assert "1 run is incomplete" in out


def test_what_cannot_be_read_is_skipped_and_said_with_its_line(capsys, kept):
    whole = lines(450)
    write(kept, whole, [b"junk\n", b'{"in":"call"}\n', b"cut o"])
    code, out = run(capsys, kept)
    assert code == 0
    assert "3 lines skipped:" in out
    assert f"{kept}:{len(whole) + 1}: not JSON" in out
    assert f"{kept}:{len(whole) + 3}: cut off in the middle of the line" in out


@pytest.mark.parametrize(
    "content", [b"", b"# notes\n", b"\x89PNG\r\n\x1a\n\x00", b'{"in":"call"}\n', b'{"in":"start","schema":99}\n']
)
def test_a_file_without_a_run_ends_with_2_and_why(capsys, tmp_path, content):
    path = tmp_path / "journal-000001.jsonl"
    path.write_bytes(content)
    assert refused(capsys, path).startswith(f"sidecar: {path}: nothing to replay: ")


def test_what_is_not_there_ends_with_2_and_its_name(capsys, tmp_path, kept):
    assert refused(capsys, tmp_path / "no.jsonl") == f"sidecar: {tmp_path}/no.jsonl: No such file or directory\n"
    assert "no.yaml" in refused(capsys, kept, "--policy", tmp_path / "no.yaml")
    bad = tmp_path / "bad.yaml"
    bad.write_text("retry:\n  max_attempts: 0\n")
    assert refused(capsys, kept, "--policy", bad).startswith(f"sidecar: {bad}:2:17: ")


@pytest.mark.parametrize("cores", ["0", "two", "1001"])
def test_a_count_that_is_none_is_an_option_error(capsys, kept, cores):
    with pytest.raises(SystemExit) as ended:
        cli.main(["recommend", str(kept), "--cores", cores])
    assert ended.value.code == 2
    assert "no whole number" in capsys.readouterr().err


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_is_the_policy_that_was_proposed_and_passes_check(capsys, kept, tmp_path):
    file = tmp_path / "proposed.yaml"
    code, out = run(capsys, kept, "--write", file, "--output", "json")
    assert code == 0
    assert load(file).revision == json.loads(out)["proposed_revision"]
    cli.main(["check", str(file)])
    assert ": no errors, no warnings" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["beside", "below", "elsewhere"])
def test_it_extends_the_policy_of_today_wherever_it_lies(capsys, kept, tmp_path, where, monkeypatch):
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text("deadline: {client: 6s}\n")
    folder = {"beside": policies, "below": policies / "new", "elsewhere": tmp_path / "else"}[where]
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    code, out = run(capsys, kept, "--policy", "policies", "--write", folder / "proposed.yaml", "--output", "json")
    assert code == 0
    loaded = load(folder / "proposed.yaml")
    assert loaded.policy.deadline.client == 6.0
    assert loaded.revision == json.loads(out)["proposed_revision"]


def test_a_link_to_a_directory_leads_to_the_same_policy(capsys, kept, tmp_path):
    far = tmp_path / "far" / "away"
    far.mkdir(parents=True)
    (tmp_path / "near").symlink_to(far)
    (tmp_path / "today.yaml").write_text("deadline: {client: 6s}\n")
    run(capsys, kept, "--policy", tmp_path / "today.yaml", "--write", tmp_path / "near" / "proposed.yaml")
    assert load(tmp_path / "near" / "proposed.yaml").policy.deadline.client == 6.0


def test_what_is_read_is_never_written_over(capsys, kept, tmp_path):
    today, below = tmp_path / "today.yaml", tmp_path / "below.yaml"
    below.write_text("deadline: {client: 6s}\n")
    today.write_text("extends: below.yaml\n")
    link = tmp_path / "link.yaml"
    link.symlink_to(today)
    for file in (today, below, link, kept):
        before = file.read_bytes()
        said = refused(capsys, kept, "--policy", today, "--write", file)
        assert said == f"sidecar: --write {file}: is what is to be read: name another file\n"
        assert file.read_bytes() == before
    assert "is what is to be read" in refused(capsys, kept.parent, "--write", kept)


def test_where_nothing_can_be_written_nothing_is_begun(capsys, kept, tmp_path, monkeypatch):
    monkeypatch.setattr("sidecar.cli.trials.studied", None)
    assert refused(capsys, kept, "--write", tmp_path / "no" / "p.yaml").endswith(
        f"there is no directory {tmp_path}/no\n"
    )
    assert refused(capsys, kept, "--write", tmp_path).endswith("is a directory: name a file\n")
    odd = tmp_path / os.fsdecode(b"\xff.yaml")
    odd.write_text("")
    assert "is not UTF-8, and no policy file can name it" in refused(
        capsys, kept, "--policy", odd, "--write", tmp_path / "p.yaml"
    )


def test_hostile_names_reach_no_terminal(capsys, kept, tmp_path):
    evil = tmp_path / "a\x1b[31m\nb.yaml"
    evil.write_text("deadline: {client: 6s}\n")
    _, out = run(capsys, kept, "--policy", evil, "--write", tmp_path / "p.yaml")
    assert "\x1b" not in out
    assert load(tmp_path / "p.yaml").policy.deadline.client == 6.0


# -- progress ----------------------------------------------------------------------------------------------------------


def test_progress_is_for_a_terminal_alone(capsys, kept, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal()
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "STEP", 0.0)
    monkeypatch.setattr(progress.sys, "stderr", shown)
    assert cli.main(["recommend", "--cores", "1", str(kept)]) == 0
    for what in ("reading", "trying each alone", "trying all together"):
        assert f"{what} [" in shown.getvalue()
    monkeypatch.undo()
    assert run(capsys, kept)[0] == 0  # which looks at standard error
