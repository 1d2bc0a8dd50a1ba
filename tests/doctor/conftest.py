"""The doctor's patience, shorter than in life, and nothing slow because this machine is."""

from __future__ import annotations

import pytest

from sidecar.doctor import asking
from sidecar.doctor.checks import chats, services

pytest.register_assert_rewrite("doctored")


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(services, "SLOW", 60.0)
    monkeypatch.setattr(asking, "PATIENCE", 4.0)
    monkeypatch.setitem(chats.PATIENCE, "switch", 4.0)
    monkeypatch.setitem(chats.PATIENCE, "madre", 4.0)
