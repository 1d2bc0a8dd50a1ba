"""Prometheus, the operator backend, madre's maintenance, and the doctor's own limits."""

from __future__ import annotations

import asyncio
import time

import canary
import pytest
from doctored import (
    LINK,
    POLICY,
    POST_TASK,
    QUIET,
    deployment,
    operator_backend,
    prometheus,
    serving,
)

DONE = {"status": "ok", "out_dir": "/x", "sqlite": {"quick_check": 0, "integrity_check": 0, "foreign_key_check": 0}}


@pytest.mark.parametrize(
    ("values", "state", "words"),
    [
        (
            (),
            "fail",
            (
                'up{job="vx11-sidecar"} is empty',
                "it has no job vx11-sidecar",
                "scrape_configs: [{job_name: vx11-sidecar",
            ),
        ),
        (("0",), "fail", ("is 0 for sidecar-0:9180", "cannot reach the admin port", "give it an address it reaches")),
        (("1", "0"), "warn", ("1 of 2; not sidecar-1:9180", "that one is down", "take it out")),
    ],
)
async def test_prometheus_that_does_not_scrape_us_is_told(tmp_path, values, state, words):
    async with serving(prometheus(*values)) as monitor, deployment(tmp_path, running=False) as town:
        found = await town.examine("prometheus", prometheus=f"http://{monitor}/")
    found.says("prometheus", state, *words)
    assert found.code == (state == "fail")


async def test_what_is_no_prometheus_is_told_and_without_one_it_is_said_how(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("prometheus", prometheus=town.lab.gateway_url)
        found.says("prometheus", "fail", "answers 404 to a query", "another program", "--prometheus")
        found = await town.examine("prometheus", prometheus="http://127.0.0.1:1")
        found.says("prometheus", "fail", "refuses connections", "nothing listens", "--prometheus")
        found = await town.examine("prometheus")
        found.says("prometheus", "skipped", "from this machine alone (--admin is on loopback): scrape_configs")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model_used": None, "provider": "fallback_local"}, "no model_used; not as it must be: provider"),
        ({"latency_ms": "3", "degraded": 0, "status": "fine"}, "not as it must be: latency_ms, status, degraded"),
        ({"correlation_id": "another"}, "another correlation id than the one it was sent"),
    ],
)
async def test_a_reply_of_the_operator_backend_that_does_not_fit_the_schema_is_a_warning(tmp_path, fields, words):
    async with serving(operator_backend(**fields)) as operator, deployment(tmp_path, running=False) as town:
        found = await town.examine("operator", "chat.operator", operator=operator)
    assert found.code == 0
    found.says("operator.health", "ok", "is healthy")
    found.says("chat.operator", "warn", words, "clients of the sidecar do not meet it", "look at its log")


async def test_a_reply_through_us_that_is_the_gateways_own_does_not_fit_the_schema(tmp_path):
    off = f"{POLICY}intercept: {{paths: [/operator/api/v1/chat]}}\n"
    async with deployment(tmp_path, policy=off) as town:
        (town.policy / "policy.yaml").write_text(POLICY)
        found = await town.examine("chat.sidecar")
    assert found.code == 1
    found.says(
        "chat.sidecar", "fail", "does not fit the schema: no model_used", "not the sidecar answered", "intercept.paths"
    )


async def test_post_task_is_not_sent_unless_asked_for(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        sent = town.teach_post_task(DONE)
        found = await town.examine("post_task")
        assert sent == []
        found.says("post_task", "skipped", "--post-task")
        found = await town.examine("post_task", post_task=True, environ={LINK: canary.WRONG})
        found.says("post_task", "fail", "answers 403", "expects another token", LINK)
        assert sent == []


async def test_a_madre_without_the_step_or_with_a_sick_database_is_said(tmp_path):
    async with deployment(tmp_path, running=False) as town:
        found = await town.examine("post_task", post_task=True)
        assert found.code == 1
        found.says("post_task", "fail", f"answers 404 to POST {POST_TASK}", "another version", "correct the address")
        town.teach_post_task(DONE | {"sqlite": {"quick_check": 0, "integrity_check": 11}})
        found = await town.examine("post_task", post_task=True)
        assert found.code == 0
        found.says("post_task", "warn", "not well: integrity_check", "did not all run well", "out_dir")


async def test_it_ends_in_time_whoever_hangs(tmp_path):
    async with deployment(tmp_path, "switch=hang", "madre=hang", "gateway=hang", running=False) as town:
        began = time.monotonic()
        found = await asyncio.wait_for(town.examine(timeout=1.0), 15)
    assert time.monotonic() - began < 10
    assert found.code == 1
    found.says("gateway.health", "fail", "no result within 1 s", "very slow", "--timeout")


async def test_a_check_that_breaks_is_a_fault_of_ours_and_hides_no_other(tmp_path):
    def broken(_):
        raise KeyError(canary.TOKEN)

    async with deployment(tmp_path, running=False) as town:
        found = await town.examine(
            "journal", "deadline", flags={"journal": str(tmp_path)}, host=QUIET._replace(writable=broken)
        )
    assert found.code == 1
    found.says("journal", "fail", "this check broke: KeyError", "a fault of the doctor itself", "please report it")
    found.says("deadline", "ok", "answers leave within")
