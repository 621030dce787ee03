"""The API's description, generated from the table of routes: OpenAPI 3.0.3 by aiohttp-apispec.

aiohttp-apispec knows OpenAPI 2 and marshmallow; what 3.0.3 and pydantic need is all here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from aiohttp_apispec import AiohttpApiSpec, docs
from apispec import APISpec, BasePlugin
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from gateway.access import Access, Takes
from gateway.frame import Handler
from gateway.headers import IDEMPOTENCY_KEY, PREFER
from gateway.live import LAST_EVENT_ID
from gateway.problems import MEDIA_TYPE
from gateway.routing import PATH_PARAMETERS, Route, names_in

API_VERSION: Final = "1"
DOCUMENT: Final = web.AppKey("document", dict[str, Any])
COMPONENTS: Final = "#/components/schemas/{model}"
ABOUT: Final = """The range over HTTP. Commands go into one log and are answered by 202 and the command's id, or, with
`Prefer: wait=5`, by how they ended. Send an `Idempotency-Key`, and asking again is safe. Everything that goes wrong is
told as a problem document (RFC 9457); [the kinds of problems](/problems) are listed. Money is in the currency's minor
unit, lengths on the target are in micrometres, scores in tenths of a ring, and every time has its offset."""
HEADERS: Final = {
    IDEMPOTENCY_KEY: "The same key with the same request gives the same command, however often it is sent.",
    PREFER: "`wait=5` waits up to that many seconds (30 at most) for the outcome.",
    LAST_EVENT_ID: "The `id` of the last event that was seen: the stream goes on after it.",
}

Json = dict[str, Any]


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457). A rule's refusal also says who refused, by which rule and why."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="a stable name, and the address of a page that says more")
    title: str
    status: int
    detail: str | None = None
    request_id: str | None = None


class Dialect(GenerateJsonSchema):
    """JSON schemas as OpenAPI 3.0 has them: no null type, no const, no patterns of names, no tuples."""

    def generate_inner(self, schema: Any) -> Json:
        made = super().generate_inner(schema)
        return made if "$ref" in made else _in_older_words(made)


def _in_older_words(schema: Json) -> Json:
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) < len(schema.get("anyOf", ())):
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        if len(others) == 1 and "$ref" not in others[0]:
            return {**others[0], **rest, "nullable": True}
        return {**rest, "allOf" if len(others) == 1 else "anyOf": others, "nullable": True}
    made = dict(schema)
    if "const" in made:
        made["enum"] = [made.pop("const")]
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in made and not isinstance(made[exclusive], bool):
            made[limit], made[exclusive] = made[exclusive], True
    if "patternProperties" in made:
        made["additionalProperties"] = next(iter(made.pop("patternProperties").values()))
    made.pop("propertyNames", None)
    return made


class PydanticPlugin(BasePlugin):
    """Puts references where operations name pydantic models, and the models among the components."""

    def __init__(self, models: Sequence[tuple[type[BaseModel], JsonSchemaMode]]) -> None:
        self._references, self._schemas = models_json_schema(
            list(models), ref_template=COMPONENTS, schema_generator=Dialect
        )

    def init_spec(self, spec: APISpec) -> None:
        super().init_spec(spec)
        for name, schema in self._schemas.get("$defs", {}).items():
            spec.components.schema(name, schema)

    def operation_helper(self, path: str | None = None, operations: Json | None = None, **kwargs: Any) -> None:
        del path, kwargs
        for operation in (operations or {}).values():
            operation.pop("produces", None)  # of OpenAPI 2
            self._refer(operation.get("requestBody"), "validation")
            for response in operation.get("responses", {}).values():
                self._refer(response, "serialization")

    def _refer(self, part: Json | None, mode: JsonSchemaMode) -> None:
        for content in (part or {}).get("content", {}).values():
            if isinstance(content["schema"], type):
                content["schema"] = self._references[content["schema"], mode]


class Document:
    """The description of one application's routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        named = {"title": "Firingline", "version": API_VERSION}
        self._apispec = AiohttpApiSpec(url=None, **named)
        self._apispec.spec = APISpec(
            **named,
            openapi_version="3.0.3",
            info={"description": ABOUT},
            plugins=[PydanticPlugin([(ProblemDocument, "serialization"), *_models(routes)])],
        )
        for name, about in (("user", "An access token: POST /v1/sessions"), ("device", "POST /v1/devices/token")):
            scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}
            self._apispec.spec.components.security_scheme(name, scheme)

    def describes(self, route: Route, handler: Handler) -> Handler:
        """The handler, which knows from now on how it is described; it must be this route's alone."""
        described: Handler = docs(**_operation(route))(handler)
        return described

    def of(self, app: web.Application) -> Json:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", web.NotAppKeyWarning)  # aiohttp-apispec keeps its things under strings
            self._apispec.register(app, in_place=True)
        document: Json = self._apispec.swagger_dict()
        return document


def _models(routes: Sequence[Route]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    for route in routes:
        documented = route.does.documented
        if documented.body is not None:
            yield documented.body, "validation"
        for model in documented.answers.values():
            if model is not None:
                yield model, "serialization"


def _operation(route: Route) -> Json:
    documented = route.does.documented
    operation: Json = {
        "operationId": _operation_id(route),
        "tags": [_tag(route)],
        "summary": documented.summary,
        "description": _who(route.access),
        "parameters": [*_in_path(route), *_in_query(route), *_in_headers(documented.headers)],
        "responses": _responses(route),
        "security": _security(route.access),
    }
    if documented.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": documented.body}}}
    return operation


def _responses(route: Route) -> Json:
    documented = route.does.documented
    found: Json = {}
    for status, model in documented.answers.items():
        content = {documented.media_type: {"schema": model or {"type": "string"}}}
        found[str(status)] = {"description": _SAYS.get(status, "What was asked for."), "content": content}
        if status == 204:
            del found["204"]["content"]
    if documented.may_refuse:
        found["409"] = _problem("A rule of the range refuses this.")
    found["default"] = _problem("What went wrong.")
    return found


_SAYS: Final = {201: "It is there.", 202: "It is under way.", 204: "It is done.", 503: "Not now."}


def _problem(description: str) -> Json:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": ProblemDocument}}}


def _operation_id(route: Route) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in route.path.removeprefix("/v1")).split()
    return "-".join([route.method.lower(), *words])


def _tag(route: Route) -> str:
    first, _, _ = route.path.removeprefix("/v1").strip("/").partition("/")
    return first or "pages"


def _who(access: Access | None) -> str:
    if access is None or access.takes is Takes.NONE:
        return "For everybody."
    if access.takes is Takes.DEVICE:
        return "For the device itself."
    roles = ", ".join(sorted(access.roles))
    if access.everyone:
        return "For everybody who is logged in."
    return f"For {roles}; for others as far as it is their own." if access.own else f"For {roles}."


def _security(access: Access | None) -> list[Mapping[str, list[str]]]:
    return [] if access is None or access.takes is Takes.NONE else [{access.takes.value: []}]


def _in_path(route: Route) -> Iterator[Json]:
    for name in names_in(route.path):
        schema = PATH_PARAMETERS[name].json_schema(schema_generator=Dialect)
        yield {"in": "path", "name": name, "required": True, "schema": schema}


def _in_query(route: Route) -> Iterator[Json]:
    query = route.does.documented.query
    if query is None:
        return
    schema = query.model_json_schema(schema_generator=Dialect)
    for name, about in schema["properties"].items():
        described = {key: value for key, value in about.items() if key not in {"title", "description", "nullable"}}
        if described.get("default", 0) is None:
            del described["default"]
        yield {
            "in": "query",
            "name": name,
            "required": name in schema.get("required", ()),
            "schema": described,
            **({"description": about["description"]} if "description" in about else {}),
        }


def _in_headers(names: Sequence[str]) -> Iterator[Json]:
    for name in names:
        yield {"in": "header", "name": name, "description": HEADERS[name], "schema": {"type": "string"}}
