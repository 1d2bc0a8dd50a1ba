"""Whether Prometheus scrapes us; where it was not named, how it could."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sidecar.doctor.asking import Heard
from sidecar.doctor.examination import Examination, Service, mapping, reached
from sidecar.doctor.result import Result, fail, ok, skipped, warn
from sidecar.doctor.troubles import no_answer

JOB = "vx11-sidecar"
QUERY = f'up{{job="{JOB}"}}'


async def prometheus(exam: Examination) -> Result:
    url, admin = exam.wanted.prometheus, exam.settings.admin
    how = f"scrape_configs: [{{job_name: {JOB}, static_configs: [{{targets: ['{reached(admin)}']}}]}}]"
    if url is None:
        only = "" if exam.settings.exposed else ", from this machine alone (--admin is on loopback)"
        return skipped(f"not asked for (--prometheus URL); {admin} can be scraped{only}: {how}")
    heard = await exam.client.ask(f"{url.rstrip('/')}/api/v1/query?query={quote(QUERY)}")
    service = Service("Prometheus", url.rstrip("/"), None, "--prometheus")
    if heard.trouble is not None:
        return no_answer(service, heard)
    series = _series(heard)
    if series is None:
        return fail(
            f"{service.place} answers {heard.status} to a query, and not as Prometheus does",
            "another program has that address, or a proxy before Prometheus wants a password",
            "name the address of Prometheus itself (--prometheus)",
        )
    down = [instance for instance, value in series if value != "1"]
    if not series:
        return fail(
            f"Prometheus does not scrape us: {QUERY} is empty",
            f"it has no job {JOB}, or its configuration was not loaded again; rules and dashboards go by that name",
            f"{how}, then reload Prometheus",
        )
    if len(down) == len(series):
        return fail(
            f"Prometheus cannot scrape us: {QUERY} is 0 for {exam.quote(', '.join(down))}",
            "it cannot reach the admin port: on loopback only its own machine can, or the address is wrong",
            f"give it an address it reaches (--admin, and {how}); its page of targets says what went wrong",
        )
    if down:
        return warn(
            f"Prometheus scrapes {len(series) - len(down)} of {len(series)}; not {exam.quote(', '.join(down))}",
            "that one is down, or cannot be reached",
            "look at it, or take it out of scrape_configs",
        )
    return ok(f"Prometheus scrapes us: {QUERY} is 1 for {exam.quote(', '.join(instance for instance, _ in series))}")


def _series(heard: Heard) -> list[tuple[str, str]] | None:
    """Instances with their values; None for what is no answer of Prometheus."""
    data = mapping(heard.object.get("data"))
    result: Any = data.get("result")
    if heard.status != 200 or heard.object.get("status") != "success" or not isinstance(result, list):
        return None
    found = []
    for each in map(mapping, result):
        value = each.get("value")
        if isinstance(value, list) and len(value) == 2:
            found.append((str(mapping(each.get("metric")).get("instance")), str(value[1])))
    return found
