"""The JSON Schema of a policy file, for editors: what is offered and underlined while a policy is written."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import NullableSchema, WithDefaultSchema

from sidecar.policy.model import Policy

_WHOLE = {
    "title": "Policy of the sidecar",
    "description": "How chat is answered. Every field has its default: an empty file is a policy.",
}


class _AsWritten(GenerateJsonSchema):
    """Gives defaults as a file writes them (``5s``), where the model holds plain numbers; null is never written."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        serialization: Any = schema["schema"].get("serialization", {})
        if "function" in serialization:
            made["default"] = serialization["function"](schema["default"])
        elif "default" in made and made["default"] is None:
            del made["default"]
        return made

    def nullable_schema(self, schema: NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - a key needs no second name
        return False


def schema() -> dict[str, Any]:
    """Build the schema of a file: the policy, and ``extends``, which belongs to the file alone."""
    made = Policy.model_json_schema(schema_generator=_AsWritten)
    for section in (made, *made["$defs"].values()):
        for field in section["properties"].values():
            _mark(field)
    extends = {"type": "string", "description": "a file whose values hold where this one states none"}
    made["properties"] = {"extends": extends, **made["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, **_WHOLE}


def _mark(field: dict[str, Any]) -> None:
    """Say which keys a mapping takes, if not all."""
    if "patternProperties" in field:
        field["propertyNames"] = {"anyOf": [{"pattern": pattern} for pattern in field["patternProperties"]]}
