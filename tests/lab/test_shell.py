"""What would have been executed, told from the text alone."""

from __future__ import annotations

import pytest

from sidecar.lab import shell
from sidecar.lab.shell import Told, tell


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo hi", Told("hi", 0.0)),
        ("echo 'hi there'", Told("hi there", 0.0)),
        ("sleep 3", Told("", 3.0)),
        ("sleep 9999", Told("", 30.0)),
        ("sleep much", Told("", 0.0)),
        ("hello; /bin/echo hi", Told("hi", 0.0)),
        ("hola", None),
        ("what is an echo?", None),
        ("", None),
        ("it's fine", None),
    ],
)
def test_texts(text: str, told: Told | None) -> None:
    assert tell(text) == told


def test_other_commands_are_named_and_not_run() -> None:
    told = tell("rm -rf /")
    assert told is not None
    assert told.output == "[lab] would have been executed: rm -rf /"


def test_nothing_that_could_run_anything_is_at_hand() -> None:
    assert not {"subprocess", "os", "asyncio", "pty"} & set(vars(shell))
