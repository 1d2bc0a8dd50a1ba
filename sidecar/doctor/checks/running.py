"""The sidecar that runs: ready, by the policy that stands in the files, at these addresses, without overrides, and not degraded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sidecar import __version__
from sidecar.doctor import troubles
from sidecar.doctor.examination import Examination, Service, mapping
from sidecar.doctor.result import Result, fail, ok, skipped, warn

State = Mapping[str, Any]


async def ready(exam: Examination) -> Result:
    place = exam.running_place()
    door = await exam.admin_door()
    if not await exam.running():
        if exam.wanted.running is None:
            return skipped(f"no sidecar runs at {place} (--running HOST:PORT)")
        service = Service("the sidecar", f"http://{place}", None, "--running")
        return troubles.no_answer(service, door) if door.trouble else fail(
            f"{place} is no admin port of a sidecar", "another program has that port", "name the admin port (--running)"
        )  # fmt: skip
    heard = await exam.told("readyz?verbose")
    body = heard.object
    if heard.trouble is not None or heard.status != 200:
        why = exam.quote(body.get("status", heard.trouble or heard.status))
        return fail(
            f"the sidecar at {place} is not ready: {why}",
            "it is starting, or it drains: a process that was told to stop, or is relieved by another",
            "wait a few seconds; if it stays so, look at its log and restart it",
        )
    notes = body.get("notes")
    if isinstance(notes, list) and notes:
        return warn(
            f"the sidecar at {place} is ready, and notes: {'; '.join(exam.quote(note, 300) for note in notes)}",
            "what it notes has stayed like this since its start or its last reload",
            "sidecar status says more; see docs/operations.md",
        )
    return ok(f"the sidecar at {place} is ready")


def stated(check: Callable[[Examination, State], Result]) -> Callable[[Examination], Awaitable[Result]]:
    """A check of what ``/state`` says."""

    async def run(exam: Examination) -> Result:
        place = exam.running_place()
        if not await exam.running():
            return skipped(f"no sidecar runs at {place} (see running.ready)")
        heard = await exam.told("state")
        if heard.status == 200 and "policy" in heard.object:
            return check(exam, heard.object)
        hosts = "Host" in str(heard.object.get("detail"))
        return warn(
            f"{place} answers {heard.status or heard.trouble} to /state",
            "it does not answer to the name it was asked by (admin.hosts)"
            if hosts
            else "off loopback it wants the admin token",
            "ask it on loopback, or add the name to admin.hosts"
            if hosts
            else "set VX11_SIDECAR_ADMIN_TOKEN for the doctor",
        )

    return run


def revision(exam: Examination, state: State) -> Result:
    """Of the policy in force, against that of the files."""
    policy = mapping(state["policy"])
    theirs, source = exam.quote(policy.get("revision")), exam.quote(policy.get("source"))
    problems = state.get("policy_problems")
    if problems:
        return fail(
            f"the sidecar cannot use its policy files and keeps revision {theirs}",
            "the files were changed, and there is a mistake in them",
            "sidecar check says where; a file that is mended is taken by itself",
        )
    ours = exam.setup.loaded.revision
    if exam.setup.policy_error is not None:
        return skipped("our own policy is not valid (see policy)")
    if policy.get("revision") != ours:
        return fail(
            f"the sidecar runs by revision {theirs} of {source}, the files here are {ours} of {exam.setup.loaded.source}",
            "it was given other files, or a change has not reached it: a mount that pins the file (see policy.updates), or "
            "another container",
            "give the doctor the sidecar's --policy; or reload it (SIGHUP, POST /reload), or restart it",
        )
    other = state.get("version")
    if other != __version__:
        return warn(
            f"revision {ours} is in force, in a sidecar of version {exam.quote(other)}; the doctor is {__version__}",
            "they may read the same policy differently",
            "use the doctor of the version that runs",
        )
    return ok(f"the sidecar runs by revision {ours}, as in the files")


def addresses(exam: Examination, state: State) -> Result:
    """What it asks, against what these flags and this environment say."""
    ours = {name: place.origin for name, place in exam.settings.snapshot.destinations.items()}
    ours["gateway"] = f"http://{exam.settings.gateway}"
    theirs = {**mapping(state.get("destinations")), "gateway": f"http://{state.get('gateway')}"}
    differ = [
        f"{name} {exam.quote(theirs.get(name))} there, {ours.get(name)} here"
        for name in sorted({*ours, *theirs})
        if theirs.get(name) != ours.get(name)
    ]
    if differ:
        return warn(
            f"other addresses: {'; '.join(differ)}",
            "the sidecar was started with other flags or another environment, so what the doctor looked at is not what it asks",
            "give the doctor the sidecar's flags and environment, or restart the sidecar with these",
        )
    return ok("the sidecar asks the addresses that the doctor looked at")


def overrides(exam: Examination, state: State) -> Result:
    held = [mapping(each) for each in state.get("overrides") or ()]
    if not held:
        return ok("no override is in force")
    told = [[exam.quote(each.get(name)) for name in ("target", "kind", "author", "reason")] for each in held]
    said = [f"{target} {kind} by {author}: {reason}" for target, kind, author, reason in told]
    return warn(
        "; ".join(said),
        "an operator holds a target for a while; until it ends the policy is not what decides about it",
        "it ends by itself; POST /overrides/release ends it now",
    )


def chaos(exam: Examination, state: State) -> Result:
    """Whether attempts are broken on purpose, or could be."""
    told = mapping(state.get("chaos"))
    rules = [mapping(each) for each in told.get("rules") or () if not mapping(each).get("expired")]
    names = ", ".join(exam.quote(rule.get("name")) for rule in rules)
    if told.get("active"):
        return warn(
            f"chaos is on: attempts on targets are broken on purpose ({names}), allowed by {exam.quote(told.get('allowed_by'))}",
            "it was started with --allow-chaos, or an operator ordered it: chats are degraded that need not be",
            "POST /chaos/stop ends it now; take --allow-chaos out of the start command",
        )
    if rules:
        return warn(
            f"nothing is broken on purpose, and the policy in force has chaos rules that have not expired: {names}",
            "whoever has the admin token can switch them on",
            "delete the rules once the experiment is over",
        )
    return ok("nothing is broken on purpose, and no rule of the policy could")


def degraded(exam: Examination, state: State) -> Result:
    """How the last chat was answered; where the gateway answers, how it did."""
    if mapping(state.get("policy")).get("mode") == "shadow":
        return _observed(exam, mapping(state.get("observed")))
    answering = state.get("answering")
    if not isinstance(answering, dict):
        return ok("nobody has chatted since it started")
    provider = exam.quote(answering.get("provider") or "nobody")
    since = answering.get("degraded_for_seconds")
    if not answering.get("degraded"):
        return ok(f"{provider} answers, not degraded")
    reason = answering.get("first_reason") or answering.get("reason")
    ago = f" for {since:.0f} s" if isinstance(since, int | float) else ""
    seen = f"degraded{ago}: {provider} answers, because of {exam.quote(reason)}"
    return (warn if answering.get("provider") else fail)(seen, *troubles.degraded(exam.primary(), reason))


def _observed(exam: Examination, seen: Mapping[str, object]) -> Result:
    """What mode shadow has seen: nothing of it is a fault of this set-up."""
    if not seen.get("chats"):
        return ok("mode shadow: the gateway answers chat, and nobody has chatted since it started")
    gave = ", ".join(f"{exam.quote(count)} {exam.quote(word)}" for word, count in mapping(seen.get("gateway")).items())
    return ok(
        f"mode shadow: the gateway answers chat; of {exam.quote(seen['chats'])} observed: {gave}; {exam.quote(seen.get('late'))} late"
    )
