"""The canonical form of policy files: keys in the order of the model, one style, every comment kept where it belongs.

Pieces of text are moved and no value is read, so ``010`` stays ``010``. ``formatted`` checks its own work: what it gives states
the same values and has the same comments, or it gives nothing.
"""

from __future__ import annotations

from sidecar.policy.format.faithful import UnfaithfulError, checked, stated, written
from sidecar.policy.format.layout import layout
from sidecar.policy.format.migrate import PRESENT, Schema, upgraded, version_of

__all__ = ["PRESENT", "Schema", "UnfaithfulError", "formatted", "upgraded", "version_of"]


def formatted(text: str, name: str) -> str:
    """``text``, called ``name``, in canonical form. Raises PolicyError if it is not the YAML of a policy, and UnfaithfulError."""
    before = stated(text, name)
    return checked(written(layout(text, name)), text, before)
