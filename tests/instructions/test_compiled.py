"""The compiled copy: where it goes. The compiler itself takes minutes: ``make compiled`` runs it."""

from __future__ import annotations

import pytest

from benchmarks import compiled


def test_a_directory_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(SystemExit) as ended:
        compiled.main([str(tmp_path)])
    assert ended.value.code == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_no_directory(tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SystemExit) as ended:
        compiled.main([str(tmp_path / "file")])
    assert ended.value.code == 2
    assert "not a directory" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"
