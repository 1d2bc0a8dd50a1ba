"""``sidecar check``: what it prints, in which form, and how it ends."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli import check

SHIPPED = Path(__file__).parents[2] / "policies"


def parsed(*argv: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    check.add_options(parser)
    return parser.parse_args([str(each) for each in argv])


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str]:
    code = check.run(parsed(*argv))
    printed = capsys.readouterr()
    assert printed.err == ""
    return code, printed.out


def write(folder: Path, text: str, name: str = "policy.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# ── text ──


def test_the_shipped_files_are_clean_and_their_figures_are_shown(capsys):
    code, out = run(capsys, *sorted(SHIPPED.glob("*.yaml")))
    assert code == 0
    assert out.endswith("3 files: no errors, no warnings\n")
    assert out.count("  target  attempts  attempt timeout") == 3


def test_figures_are_an_aligned_table(capsys, tmp_path):
    _, out = run(capsys, write(tmp_path, ""))
    *_, head, switch, madre, latest, attempts, available, undegraded, fast, _, summary = out.splitlines()
    columns = [head.index(word) for word in ("attempts", "reserve", "is over by", "at once")]
    assert [switch[column:].split("  ")[0] for column in columns] == ["2", "-", "3.25s", "4 + 8 waiting"]
    assert [madre[column:].split("  ")[0] for column in columns] == ["2", "1.5s (auto)", "4.75s", "2 + 4 waiting"]
    assert "1.2n + 3" in switch
    assert latest == "  A chat is answered after 4.75s at the latest, by local if by nobody else."
    assert attempts == "  It leads to 4 attempts at most: UI 1 · sidecar 4 · switch 1; in the long run to 2.4."
    assert available == (
        "  99.9% availability over 30 days leaves 43.2 minutes with nothing but bad chats, or 0.1% of the chats."
    )
    assert undegraded == "  95% undegraded over 30 days leaves 36 hours with nothing but bad chats, or 5% of the chats."
    assert fast == "  95% latency over 30 days leaves 36 hours with nothing but bad chats, or 5% of the chats."
    assert summary == "1 file: no errors, no warnings"


def test_the_error_budget_is_in_chats_where_it_is_known_how_many_come(capsys, tmp_path):
    file = write(tmp_path, "slo: {availability: 99%}")
    _, out = run(capsys, "--rate", "10 per 60s", file)
    assert (
        "  99% availability over 30 days leaves 7.2 hours with nothing but bad chats, or 4320 of 432000 chats.\n" in out
    )
    _, out = run(capsys, "--output", "json", "--rate", "10 per 60s", file)
    first = json.loads(out)["files"][0]["figures"]["budgets"][0]
    assert first == {"objective": "availability", "target": 0.99, "outage": 25920, "bad": 4320, "chats": 432000}


def test_without_retries_and_without_targets(capsys, tmp_path):
    _, out = run(capsys, write(tmp_path, "retry: {max_attempts: 1}"))
    assert "1.2n" not in out
    code, out = run(capsys, write(tmp_path, "targets: [{name: local}]"))
    assert (code, "target  attempts" in out) == (1, False)


def test_findings_come_as_file_line_column_severity_path_message_code(capsys, tmp_path):
    file = write(tmp_path, "auth:\n  mode: off\n")
    code, out = run(capsys, file)
    assert code == 1
    assert out.startswith(
        f"{file}:2:9: warning: auth.mode: everybody who reaches the port chats at your cost: write token [auth-off]\n"
    )
    assert out.endswith("1 file: no errors, 1 warning\n")


def test_problems_come_in_the_same_form_and_without_figures(capsys, tmp_path):
    file = write(tmp_path, "retry: {max_attempts: 010}\nreply: {shape: stubs}\n[")
    code, out = run(capsys, file)
    assert (code, "target" in out) == (1, False)
    file = write(tmp_path, "retry: {max_attempts: 010}\nreply: {shape: stubs}\n")
    code, out = run(capsys, file)
    assert code == 1
    assert out.splitlines()[:2] == [
        f"{file}:1:23: error: retry.max_attempts: must be a whole number in plain digits, as in 10; found 010 [invalid]",
        f"{file}:2:16: error: reply.shape: must be superset, reference or stub; found stubs [invalid]",
    ]
    assert out.endswith("\n1 file: 2 errors, no warnings\n")


def test_a_directory_means_its_policy_yaml(capsys, tmp_path):
    write(tmp_path, "auth: {mode: off}")
    code, out = run(capsys, tmp_path)
    assert (code, out.startswith(f"{tmp_path}/policy.yaml:1:14: warning")) == (1, True)


def test_a_comment_keeps_a_finding_away(capsys, tmp_path):
    code, out = run(capsys, write(tmp_path, "auth: {mode: off}  # lint: ignore auth-off (a lab)"))
    assert (code, out.endswith("no warnings\n")) == (0, True)
    code, out = run(capsys, write(tmp_path, "mode: enforce  # lint: ignore auth-of"))
    assert (code, out.splitlines()[0]) == (
        1,
        f"{tmp_path}/policy.yaml:1:1: warning: auth-of is no code of a finding, so this comment silences nothing: correct it, or delete it [ignores-nothing]",
    )


def test_a_comment_in_a_file_that_is_extended_counts_there(capsys, tmp_path):
    write(tmp_path, "auth: {mode: off}  # lint: ignore auth-off", "below.yaml")
    assert run(capsys, write(tmp_path, "extends: below.yaml"))[0] == 0


# ── what cannot be read ──


def test_what_cannot_be_read_is_2_and_the_others_are_told_all_the_same(capsys, tmp_path, monkeypatch):
    good = write(tmp_path, "auth: {mode: off}")
    code, out = run(capsys, tmp_path / "none.yaml", good)
    assert code == 2
    assert (
        f"{tmp_path}/none.yaml:1:1: error: cannot be read (No such file or directory): name a readable file [unreadable]"
        in out
    )
    assert "[auth-off]" in out
    assert out.endswith("2 files: 1 error, 1 warning\n")

    assert run(capsys, tmp_path / "a\0b")[0] == 2
    monkeypatch.setattr(Path, "open", _denied)  # root reads whatever the mode says
    code, out = run(capsys, good)
    assert (code, out.splitlines()[0]) == (
        2,
        f"{good}:1:1: error: cannot be read (Permission denied): name a readable file [unreadable]",
    )


def _denied(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_directory_without_policy_yaml_is_2(capsys, tmp_path):
    write(tmp_path, "", "other.yaml")
    code, out = run(capsys, tmp_path)
    assert (code, out.splitlines()[0]) == (
        2,
        f"{tmp_path}:1:1: error: a directory in which no policy.yaml can be read: name the file [unreadable]",
    )
    (tmp_path / "policy.yaml").mkdir()
    assert run(capsys, tmp_path)[0] == 2


def test_a_file_that_extends_nothing_readable_is_wrong_itself(capsys, tmp_path):
    code, out = run(capsys, write(tmp_path, "extends: none.yaml"))
    assert (code, "policy.yaml:1:10: error: extends: cannot be read" in out) == (1, True)


# ── json ──


def test_json_is_one_object(capsys, tmp_path):
    bad = write(tmp_path, "reply: {shape: stubs}", "bad.yaml")
    doubtful = write(tmp_path, "auth: {mode: off}", "doubtful.yaml")
    code, out = run(capsys, "--output", "json", bad, doubtful)
    whole = json.loads(out)
    assert code == 1
    assert whole["summary"] == {"files": 2, "errors": 1, "warnings": 1}
    first, second = whole["files"]
    assert (first["file"], first["revision"], first["findings"], first["figures"]) == (str(bad), None, [], None)
    assert {key: first["problems"][0][key] for key in ("file", "line", "column", "severity", "path", "code")} == {
        "file": str(bad), "line": 1, "column": 16, "severity": "error", "path": "reply.shape", "code": "invalid",
    }  # fmt: skip
    assert (second["problems"], second["findings"][0]["code"], len(second["revision"])) == ([], "auth-off", 12)
    assert second["figures"]["answer_by"] == 4.75
    assert second["figures"]["targets"][0]["attempt"] == {"least": 3.25, "most": 3.25}
    assert second["figures"]["layers"] == {"ui": 1, "sidecar": 4, "switch": 1}


def test_the_docstring_names_every_key_of_the_object(capsys, tmp_path):
    _, out = run(capsys, "--output", "json", write(tmp_path, "auth: {mode: off}"))
    whole = json.loads(out)
    keys = {*whole, *whole["files"][0], *whole["files"][0]["findings"][0], *whole["summary"]}
    assert {key for key in keys if f'"{key}"' not in check.__doc__} == set()


# ── what is known from outside ──


def test_observations_are_options(capsys, tmp_path):
    file = write(tmp_path, "breaker: {consecutive: 0}")
    code, out = run(capsys, "--p95", "madre=2s", "--rate", "1 per 5m", file)
    assert code == 1
    assert "[breaker-arms-late]" in out
    assert "[reserve-below-p95]" in out


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--rate", "many"], "--rate 'many': must be a rate: calls per duration, as in 10 per 60s"),
        (["--p95", "madre=2"], "--p95 '2': must be a duration: a number with a unit (ms, s, m, h), as in 300ms or 5s"),
        (["--p95", "local=2s"], "--p95 'local': must be switch=TIME or madre=TIME"),
    ],
)
def test_a_wrong_option_is_said_in_words(option, complaint):
    with pytest.raises(ValueError, match="must be") as raised:
        check.run(parsed(*option, SHIPPED / "default.yaml"))
    assert str(raised.value) == complaint


# ── mounts ──

TABLE = """\
36 35 98:0 / / rw,noatime - ext3 /dev/root rw
40 36 0:35 /volume {file} ro,relatime master:1 - ext4 /dev/sda rw
short line
"""


@pytest.mark.parametrize("spelled", ["policy.yaml", "my\\040policy.yaml"])
def test_a_file_that_is_a_mount_point_never_reloads(capsys, tmp_path, monkeypatch, spelled):
    file = write(tmp_path, "mode: enforce", spelled.replace("\\040", " "))
    table = write(tmp_path, TABLE.format(file=f"{tmp_path}/{spelled}"), "mountinfo")
    monkeypatch.setattr(check, "MOUNTS", table)
    code, out = run(capsys, file)
    assert code == 1
    assert out.startswith(f"{file}:1:1: warning: the file itself is a mount (a Kubernetes subPath, ")
    assert "[never-reloads]" in out
    write(tmp_path, "# lint: ignore never-reloads\nmode: enforce", file.name)
    assert run(capsys, file)[0] == 0


def test_a_mounted_directory_reloads(capsys, tmp_path, monkeypatch):
    """The form ConfigMaps take: the directory is the mount, the file in it a link to a link."""
    (tmp_path / "..2024").mkdir()
    write(tmp_path / "..2024", "mode: enforce")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    monkeypatch.setattr(check, "MOUNTS", write(tmp_path, TABLE.format(file=tmp_path), "mountinfo"))
    assert run(capsys, tmp_path)[0] == 0


def test_a_system_without_a_mount_table_is_no_error(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "MOUNTS", tmp_path / "none")
    assert run(capsys, write(tmp_path, ""))[0] == 0


IMPORTS = "import sys, sidecar.cli.check, sidecar.cli.schema\nprint(*sys.modules)"


def test_help_costs_neither_the_model_nor_the_server():
    loaded = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "aiohttp", "ruamel.yaml", "sidecar.policy.model"} & set(loaded)
