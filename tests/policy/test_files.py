"""Files: which can be read, and how one extends another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.policy.load import Loaded, PolicyError, load
from sidecar.policy.model import Policy


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / f"{next(iter(files))}.yaml"


def refused(path: Path) -> list[str]:
    with pytest.raises(PolicyError) as raised:
        load(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in raised.value.problems]


def test_a_file_and_a_directory(tmp_path: Path) -> None:
    file = write(tmp_path, policy="mode: off\n")
    for path in (file, tmp_path):
        loaded = load(path)
        assert isinstance(loaded, Loaded)
        assert (loaded.policy.mode, loaded.source, loaded.files) == ("off", str(path), (file,))
        assert loaded.origins == {"mode": f"{file}:1:7"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.yaml") == [
        "a.yaml:1:1: cannot be read (No such file or directory): name a readable file"
    ]
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert "loop.yaml:1:1: cannot be read (" in refused(tmp_path / "loop.yaml")[0]
    assert "cannot be read (no name of a file)" in refused(tmp_path / "a\0b")[0]
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe") == [
        "pipe:1:1: not a regular file: name a file, or a directory with a policy.yaml"
    ]
    (tmp_path / "sub").mkdir()
    assert refused(tmp_path / "sub") == ["sub:1:1: cannot be read (No such file or directory): name a readable file"]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, a="mode: off")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root reads whatever the mode says
    assert refused(file) == ["a.yaml:1:1: cannot be read (Permission denied): name a readable file"]


def test_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("mode: off\n# ñandú ".encode() + b"\xff")
    assert refused(file) == ["a.yaml:2:9: not UTF-8 from here on: save the file as UTF-8"]
    file.write_bytes("mode: off".encode("utf-16"))
    assert refused(file) == ["a.yaml:1:1: not UTF-8 from here on: save the file as UTF-8"]
    file.write_bytes(b"\xef\xbb\xbfmode: off\r\nauth:\r\n  mode: off\r\n")
    assert load(file).origins == {"mode": f"{file}:1:7", "auth.mode": f"{file}:3:9"}
    file.write_bytes(b"#" * ((1 << 20) + 1))
    assert refused(file) == ["a.yaml:1:1: larger than 1 MiB: a policy is a few kilobytes, is this the right file?"]
    file.write_bytes(b"#" * (1 << 20))
    assert load(file).policy == Policy()


# ── extends ──


def test_a_child_states_only_what_differs(tmp_path: Path) -> None:
    child = write(
        tmp_path,
        child="extends: parent.yaml\ndeadline: {client: 3s}\nretry: {on: [503]}\n",
        parent="extends: sub/grand.yaml\ndeadline:\n  client: 4s\n  margin: 1s\nretry: {max_attempts: 3}\n",
    )
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", grand="retry: {on: [502], max_attempts: 5}\ndormant: {mode: obey}")
    loaded = load(child)
    policy = loaded.policy
    assert (policy.deadline.client, policy.deadline.margin) == (3, 1)
    assert (policy.retry.on, policy.retry.max_attempts, policy.dormant.mode) == ((503,), 3, "obey")
    assert loaded.origins["deadline.margin"] == f"{tmp_path}/parent.yaml:4:11"
    assert loaded.origins["dormant.mode"] == f"{tmp_path}/sub/grand.yaml:2:17"
    assert "extends" not in loaded.origins
    assert [file.name for file in loaded.files] == ["child.yaml", "parent.yaml", "grand.yaml"]


def test_the_ladder_is_the_child_s_and_entries_go_by_name(tmp_path: Path) -> None:
    child = write(
        tmp_path,
        child="extends: parent.yaml\ntargets:\n  - name: madre\n    retry: {max_attempts: 1}\n  - name: switch\n",
        parent="targets:\n  - {name: switch, shield: false}\n  - {name: madre, reserve: 2s, retry: {on: [502]}}\n  - name: local\n",
    )
    loaded = load(child)
    madre, switch = loaded.policy.targets
    assert (madre.name, madre.reserve, madre.retry.max_attempts, madre.retry.on) == ("madre", 2, 1, (502,))
    assert (switch.name, switch.shield) == ("switch", False)
    assert loaded.origins["targets[0].reserve"] == f"{tmp_path}/parent.yaml:3:28"
    assert loaded.origins["targets[0].retry.max_attempts"] == f"{tmp_path}/child.yaml:4:27"
    assert [t.name for t in load(write(tmp_path, other="extends: parent.yaml")).policy.targets] == [
        "switch",
        "madre",
        "local",
    ]


def test_the_child_s_languages_come_first(tmp_path: Path) -> None:
    child = write(
        tmp_path, a="extends: b.yaml\nfallback: {local_text: {es: c}}", b="fallback: {local_text: {en: a, es: b}}"
    )
    assert list(load(child).policy.fallback.local_text.items()) == [("es", "c"), ("en", "a")]


def test_errors_stand_in_the_file_of_the_value(tmp_path: Path) -> None:
    child = write(
        tmp_path,
        a="extends: b.yaml\ndeadline: {client: 1s}\ntargets: [{name: madre}, 5, {nam: x}]\nmode: 5",
        b="deadline: {margin: 2s}\nretry: {on: 5}\ntargets: [{name: madre, reserve: 5}]\nmode: 6\nmode: 7",
    )
    assert [c.split(": ")[0] + " " + c.split(": ")[1] for c in refused(child)] == [
        "a.yaml:3:26 targets[1]",
        "a.yaml:3:29 targets[2].name",
        "a.yaml:3:30 targets[2].nam",
        "a.yaml:4:7 mode",
        "b.yaml:1:20 deadline.margin",
        "b.yaml:2:13 retry.on",
        "b.yaml:3:34 targets[0].reserve",
        "b.yaml:5:1 mode",
    ]


def test_chains_that_go_wrong(tmp_path: Path) -> None:
    assert refused(write(tmp_path, a="extends: a.yaml")) == [
        "a.yaml:1:10: extends: comes back to a file that was already read: break the circle"
    ]
    assert refused(write(tmp_path, a="extends: b.yaml", b="mode: off\nextends: ./a.yaml")) == [
        "b.yaml:2:10: extends: comes back to a file that was already read: break the circle"
    ]
    assert refused(write(tmp_path, a="mode: x\nextends: no.yaml")) == [
        "a.yaml:2:10: extends: cannot be read (No such file or directory): name a readable file"
    ]
    assert refused(write(tmp_path, a="extends: b.yaml\nmode: off", b="mode: [")) == [
        "b.yaml:1:8: a value is missing, or a bracket is not closed: write it"
    ]
    eight = {f"f{n}": f"extends: f{n + 1}.yaml" for n in range(7)}
    assert load(write(tmp_path, **eight, f7="mode: off")).policy.mode == "off"
    assert refused(write(tmp_path, **eight, f7="extends: f8.yaml", f8="")) == [
        "f7.yaml:1:10: extends: makes a chain of more than 8 files: state the values here"
    ]
