"""The application that most tests put the sidecar around."""

from __future__ import annotations

import pytest
from scripts import Application


@pytest.fixture
def app():
    return Application()
