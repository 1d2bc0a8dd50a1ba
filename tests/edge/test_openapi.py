"""The admin port's OpenAPI document: every route is in it, nothing else is, and requests made from it find no fault."""

from __future__ import annotations

from unittest.mock import Mock

import jsonschema_rs
import pytest
from hypothesis import given, settings

from sidecar.core.vocabulary import Override
from sidecar.edge.admin import openapi
from sidecar.edge.admin.application import admin_application
from sidecar.edge.admin.desk import Desk
from tests.fuzz.api import HEADERS, AdminPort, admin_port

DOCUMENT = openapi.document()


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in admin_application(Desk(Mock())).router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    told = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"}
    assert routes == told


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            found.extend(one for key, one in value.items() if key == "$ref")
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(DOCUMENT)
    schemas = DOCUMENT["components"]["schemas"]
    assert {one.removeprefix("#/components/schemas/") for one in found} == set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)


def test_an_override_is_described_by_the_form_that_reads_it() -> None:
    form = DOCUMENT["components"]["schemas"]["HoldForm"]
    assert form["additionalProperties"] is False
    assert form["required"] == ["target", "kind", "author", "reason", "ttl"]
    assert form["properties"]["kind"]["enum"] == [str(kind) for kind in Override]


async def test_the_document_is_behind_the_same_door_as_the_state(office) -> None:
    async with office() as desk:
        status, told = await desk.ask("GET", "/openapi.json", token=None)
        assert (status, told) == (200, DOCUMENT)
        assert (await desk.ask("GET", "/openapi.json", host="elsewhere.test"))[0] == 403


@pytest.fixture(scope="module")
def port():
    with admin_port() as opened:
        yield opened


def test_a_body_that_is_not_what_its_coding_says_is_no_error_of_ours(port: AdminPort) -> None:
    got = port.session.post(
        f"{port.url}/reload", data=b"{}", headers={**HEADERS, "Content-Encoding": "gzip"}, timeout=5
    )
    assert got.status_code in (200, 400)  # no coding is undone: an order is read as it came


def test_requests_made_from_the_document_and_against_it_find_no_fault(port: AdminPort) -> None:
    outcomes: set[str] = set()

    @settings(max_examples=120)
    @given(port.examples())
    def holds(example) -> None:
        outcomes.add(port.check(example))

    holds()
    assert {outcome.rsplit(" ", 1)[1] for outcome in outcomes} >= {"200", "400"}
