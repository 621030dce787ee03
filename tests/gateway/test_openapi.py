"""The description says what is served, no more and no less."""

import json
from typing import Any

from jsonschema import Draft4Validator

from gateway.app import all_routes, make_app
from gateway.openapi import DOCUMENT
from gateway.ports import PORTS
from tests.gateway import examples
from tests.gateway.gate import Gate


async def test_every_served_route_is_described_and_every_described_one_served(gate: Gate):
    described = (await gate.get("/openapi.json")).body
    told = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    served = {(route.method, route.resource.canonical) for route in gate.app.router.routes() if route.resource}
    assert told == served == {(route.method, route.path) for route in all_routes()}


async def test_the_description_is_openapi_3_0_3_and_whole(gate: Gate):
    described = (await gate.get("/openapi.json")).body
    assert described["openapi"] == "3.0.3"
    text = json.dumps(described)
    for foreign in ('"type": "null"', '"const"', '"$defs"', '"prefixItems"', '"patternProperties"', '"produces"'):
        assert foreign not in text, foreign
    for reference in _references(described):
        name = reference.removeprefix("#/components/schemas/")
        assert name in described["components"]["schemas"], reference
    for schema in described["components"]["schemas"].values():
        Draft4Validator.check_schema({key: value for key, value in schema.items() if key != "nullable"})
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    assert all(one["summary"].endswith(".") for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["responses"] for one in operations)


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [one for value in part.values() for one in _references(value)]
    return [one for value in part for one in _references(value)] if isinstance(part, list) else []


async def test_what_the_description_demands_of_a_body_is_what_the_gateway_takes(gate: Gate):
    schemas = (await gate.get("/openapi.json")).body["components"]["schemas"]
    assert set(schemas["BookSession"]["required"]) == {"lane", "starts_at", "ends_at", "weapon_class"}
    assert set(schemas["BookSession"]["properties"]) >= set(examples.WISH)
    assert "booking" not in schemas["BookSession"]["properties"]


async def test_two_applications_in_one_process_describe_themselves_alike(gate: Gate):
    assert make_app(gate.app[PORTS])[DOCUMENT] == gate.app[DOCUMENT]
