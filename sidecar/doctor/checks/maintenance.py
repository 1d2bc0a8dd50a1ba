"""The last step of VX11's deployment checklist: madre's maintenance. It writes files and rotates backups, so only when asked for."""

from __future__ import annotations

from sidecar.doctor.examination import Examination, mapping
from sidecar.doctor.result import Result, fail, ok, skipped, took, warn
from sidecar.doctor.troubles import denied, no_answer, server_error

PATH = "/madre/power/maintenance/post_task"
REASON = "sidecar doctor --post-task"
PATIENCE = 20.0  # seconds; madre checks its whole database, and answers nobody meanwhile


async def post_task(exam: Examination) -> Result:
    """``apply: false``: no rows are deleted, whatever the size of the database."""
    if not exam.wanted.post_task:
        return skipped("not asked for (--post-task): it changes files at madre, and holds madre up")
    service = exam.service("madre")
    if service is None:
        return skipped("the policy's ladder does not ask madre")
    headers = {"X-VX11-Token": service.token} if service.token else {}
    body = {"apply": False, "reason": REASON}
    heard = await exam.client.ask(service.url + PATH, headers, method="POST", body=body, patience=PATIENCE)
    if heard.trouble is not None:
        found = no_answer(service, heard)
        return found._replace(remedy=f"{found.remedy}; it may still be at work: look before asking again")
    if heard.status in (401, 403):
        return denied(service, heard.status)
    if heard.status >= 500:
        return server_error(service, heard.status)
    if heard.status != 200:
        return fail(
            f"madre answers {heard.status} to POST {PATH}",
            "this madre has no such step, or wants another body: another version, or another service",
            f"correct the address ({service.stated}), or do the step as that version wants it",
        )
    bad = [name for name, code in mapping(heard.object.get("sqlite")).items() if code != 0]
    if heard.object.get("status") != "ok" or bad:
        return warn(
            f"madre's post_task says {exam.quote(heard.object.get('status'))}; not well: {exam.quote(', '.join(bad)) or 'nothing named'}",
            "its database checks did not all run well",
            "look into the directory of its audit that it names in out_dir",
        )
    return ok(f"madre's post_task is done, its database checks are well ({took(heard.seconds)})")
