"""What of a library's record goes on: where it was said and the type of the error, and never its text."""

from __future__ import annotations

import json
import logging

import pytest

from sidecar.edge.outlets.libraries import Libraries


class Warned(list):
    """A log that only collects."""

    def __call__(self, event, /, **fields):
        self.append({"event": event, **fields})


@pytest.fixture
def warned():
    warned, root = Warned(), logging.getLogger()
    handler = Libraries(warned)
    handler.setLevel(logging.WARNING)
    root.addHandler(handler)
    yield warned
    root.removeHandler(handler)


def test_a_record_of_a_library_goes_on_without_its_text(warned):
    try:
        {}["s3cret in the error"]
    except LookupError:
        logging.getLogger("aiohttp.server").exception("s3cret %s", "in the text", extra={"request": "s3cret"})
    logging.getLogger("asyncio").warning("Executing s3cret took 2 seconds")
    logging.getLogger("aiohttp").info("not even seen")
    first, second = warned
    assert (first["event"], first["logger"], first["error"]) == ("library", "aiohttp.server", "KeyError")
    assert first["at"].startswith(__file__)
    assert (second["logger"], second["error"]) == ("asyncio", None)
    assert second["at"].startswith(__file__)
    assert "s3cret" not in json.dumps([first, second])


def test_a_record_about_no_error_has_none(warned):
    logging.getLogger("x").error("text", exc_info=True)  # noqa: LOG014 - a library may do so
    assert warned[0]["error"] is None
