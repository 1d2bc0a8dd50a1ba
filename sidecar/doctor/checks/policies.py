"""The set-up in files: whether settings come of it, what is doubtful in the policy, and whether a changed file would arrive."""

from __future__ import annotations

import time
from pathlib import Path

from sidecar.doctor.examination import Examination
from sidecar.doctor.host import mounts
from sidecar.doctor.result import Result, fail, ok, skipped, warn
from sidecar.edge.environment import secret_files
from sidecar.policy.lint import Finding, Observed, lint, silence
from sidecar.policy.lint.patience import UI_PATIENCE
from sidecar.policy.units import duration_text

BEYOND_UI = "deadline-beyond-ui"


async def settings(exam: Examination) -> Result:
    problem = exam.setup.settings_problem
    if problem is not None:
        return fail(
            problem, "flags, environment and policy make no settings, so serve would not start", "correct what is named"
        )
    found = exam.settings
    behind = [f"{name} {place.origin.removeprefix('http://')}" for name, place in found.snapshot.destinations.items()]
    return ok(
        ", ".join([f"data port {found.listen}", f"admin port {found.admin}", f"gateway {found.gateway}", *behind])
    )


async def policy(exam: Examination) -> Result:
    error, loaded = exam.setup.policy_error, exam.setup.loaded
    if error is not None:
        first, *more = error.problems
        return fail(
            f"{first}" + (f" (and {len(more)} more)" if more else ""),
            "the policy is not valid: serve does not start with it, and a running sidecar keeps the one before",
            f"sidecar check {exam.wanted.policy} says all that is wrong with it, and what would be right",
        )
    found = [finding for finding in _findings(exam) if finding.code != BEYOND_UI]
    seen = f"{loaded.source}, revision {loaded.revision}, mode {loaded.policy.mode}"
    if not found:
        return ok(seen)
    wrong = [finding for finding in found if finding.severity == "error"]
    said = str((wrong or found)[0])
    return (fail if wrong else warn)(
        f"{seen}: {said}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else ""),
        "what the policy states is allowed and hardly meant",
        f"sidecar check {exam.wanted.policy} says all of it, and how to keep what is meant",
    )


def _findings(exam: Examination) -> tuple[Finding, ...]:
    loaded = exam.setup.loaded
    texts = {str(file): file.read_text(encoding="utf-8-sig") for file in loaded.files}
    return silence(lint(loaded, Observed(moment=time.time())), texts)


async def deadline(exam: Examination) -> Result:
    """Against the patience of the UI."""
    stated = exam.policy.deadline
    client, leaves = duration_text(stated.client), duration_text(stated.client - stated.margin)
    seen = f"answers leave within {leaves} (deadline.client {client}); the UI waits {duration_text(UI_PATIENCE)}"
    if stated.client <= UI_PATIENCE:
        return ok(seen)
    if not any(finding.code == BEYOND_UI for finding in _findings(exam)):
        return ok(f"{seen}; the policy says that this is meant")
    return warn(
        seen,
        "the UI has left by then: its user sees an error, and the answer is work for nobody",
        f"write deadline.client: {duration_text(UI_PATIENCE)}; or, for other clients, say so with # lint: ignore {BEYOND_UI}",
    )


async def updates(exam: Examination) -> Result:
    """Whether a changed policy arrives: a mount of a single file keeps the old one for ever."""
    loaded = exam.setup.loaded
    files = loaded.files or ((exam.wanted.policy,) if exam.wanted.policy else ())
    if not files:
        return skipped("the policy is built in: no file to update")
    pinned = [(file, why) for file in files if (why := _pinned(exam, file))]
    if pinned:
        file, why = pinned[0]
        return warn(
            f"{file}: {why}",
            "it stays what it was when the container started, however often it is replaced outside: no reload sees the new one",
            "mount the directory it is in (compose: ./policies:/etc/sidecar; Kubernetes: the ConfigMap without subPath), and name that "
            "with --policy",
        )
    secrets = [file for file in secret_files(exam.setup.environ) if _pinned(exam, file)]
    note = (
        f"; token files that are mounts change with a restart only: {', '.join(map(str, secrets))}" if secrets else ""
    )
    return ok(f"{', '.join(map(str, files))}: no mount pins what is there{note}")


def _pinned(exam: Examination, file: Path) -> str | None:
    """How a mount pins ``file``, if one does."""
    place = file.resolve()
    over = [mount for mount in mounts(exam.host) if place.is_relative_to(mount.point)]
    nearest = max(reversed(over), key=lambda mount: len(Path(mount.point).parts), default=None)
    if nearest is None:
        return None
    if "/volume-subpaths/" in nearest.root:
        return "a Kubernetes subPath"
    return "a mount of this single file" if Path(nearest.point) == place and place.is_file() else None
