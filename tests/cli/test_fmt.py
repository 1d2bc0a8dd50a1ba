"""``sidecar fmt``: what it rewrites, what it leaves alone, and how it ends."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sidecar.cli import fmt, main
from sidecar.policy import format as room
from sidecar.policy.format import UnfaithfulError

SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))
UGLY = "deadline: {margin: 1s, client: 4s}  # why\nmode: 'off'\n"
FINE = 'mode: "off"\ndeadline: {client: 4s, margin: 1s}  # why\n'


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    parser = argparse.ArgumentParser()
    fmt.add_options(parser)
    code = fmt.run(parser.parse_args([str(each) for each in argv]))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def write(folder: Path, text: str | bytes, name: str = "policy.yaml") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def test_the_shipped_files_come_out_unchanged(capsys):
    assert run(capsys, "--check", *SHIPPED) == (0, "", "")


def test_files_are_rewritten_and_those_that_changed_are_named(capsys, tmp_path):
    ugly, fine = write(tmp_path, UGLY), write(tmp_path, FINE, "fine.yaml")
    before = fine.stat().st_mtime_ns
    assert run(capsys, ugly, fine) == (0, f"{ugly}\n", "")
    assert (ugly.read_text(), fine.read_text(), fine.stat().st_mtime_ns) == (FINE, FINE, before)
    assert run(capsys, tmp_path) == (0, "", "")  # a directory means its policy.yaml
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fine.yaml", "policy.yaml"]


def test_mode_bits_stay_and_a_link_leads_where_it_led(capsys, tmp_path):
    (tmp_path / "real").mkdir()
    real = write(tmp_path / "real", UGLY)
    real.chmod(0o640)
    link = tmp_path / "policy.yaml"
    link.symlink_to("real/policy.yaml")
    assert run(capsys, link) == (0, f"{link}\n", "")
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, FINE, 0o640)


def test_check_changes_nothing_and_says_what_would_change(capsys, tmp_path):
    file = write(tmp_path, UGLY)
    code, out, err = run(capsys, "--check", file)
    assert (code, err, file.read_text()) == (1, "", UGLY)
    assert out.splitlines()[:3] == [f"--- {file}", f"+++ {file}", "@@ -1,2 +1,2 @@"]
    assert sorted(out.splitlines()[3:]) == sorted(
        [f"-{line}" for line in UGLY.splitlines()] + [f"+{line}" for line in FINE.splitlines()]
    )


def test_check_shows_line_ends(capsys, tmp_path):
    code, out, _ = run(capsys, "--check", write(tmp_path, "mode: off"))
    assert (code, out.splitlines()[2:]) == (
        1,
        ["@@ -1 +1 @@", "-mode: off", "\\ No newline at end of file", "+mode: off"],
    )
    code, out, _ = run(capsys, "--check", write(tmp_path, "mode: off\r\n"))
    assert (code, "-mode: off\r\n+mode: off\n" in out) == (1, True)


def test_a_check_can_be_applied(capsys, tmp_path):
    file = write(tmp_path, UGLY)
    _, out, _ = run(capsys, "--check", file)
    subprocess.run(["patch", "-p0", "-s", str(file)], input=out, text=True, check=True, cwd="/")
    assert file.read_text() == FINE


# ── standard input ──


def stdin(monkeypatch, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_standard_input_goes_to_standard_output(capfd, monkeypatch, tmp_path):
    stdin(monkeypatch, UGLY)
    assert run(capfd, "-") == (0, FINE, "")
    stdin(monkeypatch, UGLY)
    code, out, _ = run(capfd, "--check", "-")
    assert (code, out.startswith("--- <stdin>\n+++ <stdin>\n")) == (1, True)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "mode: off\n", "base.yaml")
    stdin(monkeypatch, "extends: base.yaml\n")
    assert run(capfd, "-") == (0, "extends: base.yaml\n", "")
    stdin(monkeypatch, b"mode: off\n# \xff")
    assert run(capfd, "-") == (2, "", "sidecar: <stdin>:2:3: not UTF-8 from here on: save the file as UTF-8\n")


def test_standard_input_stands_alone(tmp_path, capsys):
    with pytest.raises(ValueError, match="- stands for standard input and cannot be named with files"):
        run(capsys, "-", tmp_path)


# ── what is wrong ──


def test_what_is_wrong_with_a_file_leaves_it_alone_and_the_others_are_done(capsys, tmp_path):
    wrong = write(tmp_path, "mode: of\nretry: {max_attempts: 010}\n", "wrong.yaml")
    ugly = write(tmp_path, UGLY)
    code, out, err = run(capsys, wrong, tmp_path / "none.yaml", ugly)
    assert (code, out, ugly.read_text()) == (2, f"{ugly}\n", FINE)
    assert err.splitlines()[0].startswith(f"sidecar: {wrong}:1:7: mode: must be ")
    assert err.splitlines()[1:] == [
        f"sidecar: {wrong}:2:23: retry.max_attempts: must be a whole number in plain digits, as in 10; found 010",
        f"sidecar: {tmp_path}/none.yaml:1:1: cannot be read (No such file or directory): name a readable file",
    ]
    assert wrong.read_text() == "mode: of\nretry: {max_attempts: 010}\n"
    code, _, err = run(capsys, write(tmp_path, "mode: off\nextends: none.yaml\n"))
    assert (code, "policy.yaml:2:10: extends: cannot be read" in err) == (2, True)


def test_what_is_no_file(capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in run(capsys, tmp_path / "pipe")[2]
    assert "no name of a file" in run(capsys, tmp_path / "a\0b")[2]
    assert "cannot be read" in run(capsys, tmp_path)[2]


def test_a_file_that_changes_meanwhile(capsys, tmp_path, monkeypatch):
    file = write(tmp_path, UGLY)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert run(capsys, file) == (2, "", f"sidecar: {file}:1:1: changes while it is read: try again\n")


def test_a_fault_of_ours_leaves_the_file_alone_and_says_whose_it_is(capsys, tmp_path, monkeypatch):
    file = write(tmp_path, UGLY)

    def lossy(*_: object) -> str:
        raise UnfaithfulError("a comment would be lost")

    monkeypatch.setattr(room, "formatted", lossy)
    said = "left as it is, since a comment would be lost: a fault of sidecar fmt, please report it with the file"
    assert run(capsys, file) == (2, "", f"sidecar: {file}: {said}\n")
    monkeypatch.setattr(room, "formatted", lambda *_: "mode: shadow\n")
    assert (
        run(capsys, file)[2]
        == f"sidecar: {file}: {said.replace('a comment would be lost', 'its revision would not be the same')}\n"
    )
    assert file.read_text() == UGLY


def test_a_file_that_cannot_be_written_is_left_as_it_is(capsys, tmp_path, monkeypatch):
    file = write(tmp_path, UGLY)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write whatever the mode says
    assert run(capsys, file) == (
        2,
        "",
        f"sidecar: {file}: cannot be written (it is not writable): it is left as it is\n",
    )
    monkeypatch.undo()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert run(capsys, file) == (
        2,
        "",
        f"sidecar: {file}: cannot be written (No space left on device): it is left as it is\n",
    )
    assert (file.read_text(), list(tmp_path.iterdir())) == (UGLY, [file])


# ── versions ──


def test_upgrade_states_the_version(capsys, tmp_path):
    file = write(tmp_path, UGLY)
    assert run(capsys, "--upgrade", file) == (0, f"{file}\n", "")
    assert file.read_text() == f"version: 1\n{FINE}"
    assert run(capsys, "--upgrade", "--check", file) == (0, "", "")


def test_a_newer_version_is_refused_with_its_place(capsys, tmp_path):
    file = write(tmp_path, "mode: off\nversion: 2\n")
    code, _, err = run(capsys, "--upgrade", file)
    assert (code, err) == (
        2,
        f"sidecar: {file}:2:10: version: 2 is newer than 1, the newest this version of the sidecar knows: take a newer sidecar\n",
    )
    assert (
        run(capsys, file)[2]
        == f"sidecar: {file}:2:10: version: must be 1, the only version of the schema there is; found 2\n"
    )


def test_what_is_wrong_is_said_at_its_own_place_when_upgrading(capsys, tmp_path):
    file = write(tmp_path, "mode: of\n")
    assert run(capsys, "--upgrade", file)[2].startswith(f"sidecar: {file}:1:7: mode: must be ")


def test_an_older_version_is_checked_as_upgraded(capsys, tmp_path, monkeypatch):
    file = write(tmp_path, "mode: off\n")
    monkeypatch.setattr(room, "version_of", lambda *_: 0)
    assert run(capsys, "--upgrade", file)[:2] == (0, f"{file}\n")
    monkeypatch.setattr(room, "upgraded", lambda *_: "version: 1\nmode: of\n")
    assert run(capsys, "--upgrade", file)[2].startswith(f"sidecar: {file} as upgraded:2:7: mode: must be ")


# ── as a process ──


def test_help_costs_neither_the_model_nor_yaml():
    code = "import sys, sidecar.cli.fmt, sidecar.cli.diff\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "aiohttp", "ruamel.yaml", "sidecar.policy.model"} & set(loaded)


def test_the_command_is_there(capsys, tmp_path, record_property):
    file = write(tmp_path, UGLY)
    assert main(["fmt", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "sidecar", "fmt", "--check", *map(str, SHIPPED)], check=True)
    record_property(
        "fmt figures",
        f"sidecar fmt --check of {len(SHIPPED)} shipped files, as a process: {time.perf_counter() - began:.2f} s",
    )
