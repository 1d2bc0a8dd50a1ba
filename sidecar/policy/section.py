"""What the sections of a policy are made of: the frozen section itself and the kinds of text that fields take.

Messages say what would be right in the words of a policy file. They never repeat the value: the loader adds it as the
file writes it, and leaves it out where it could be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


class Section(BaseModel):
    """A part of the policy: frozen, strict, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def disagree(message: str, *fields: str) -> PydanticCustomError:
    """Build the error for fields that are right alone and wrong together; the first one stated is pointed at."""
    return PydanticCustomError("disagree", "{words}", {"words": message, "fields": fields})


@dataclass(frozen=True, slots=True)
class Written:
    """Text of one form: the pattern goes to the JSON schema, ``words`` to people."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        form = re.compile(self.pattern)

        def check(value: str) -> str:
            if form.fullmatch(value) is None:
                raise ValueError(f"must be {self.words}")
            return value

        return handler(Annotated[source, AfterValidator(check)])

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("must be an address or a network without host bits, as in 10.0.0.0/8") from None
    return value


def unset(value: object) -> bool:
    """Whether a field has no value that could be written: it is then left out of what is dumped."""
    return value is None


Listed = Field(strict=False)  # a YAML list is a list, the field a tuple: the one conversion that is wanted

HOST = r"[A-Za-z0-9._:\[\]-]+"
HeaderName = Annotated[str, Written(r"[a-z0-9-]+", "a header name in lower case, as in x-vx11-token")]
Path = Annotated[
    str, Written(r"/[!\x22$&-:<->@-\[\]-~]*", "a decoded absolute path without query, as in /operator/api/chat")
]
PathPattern = Annotated[
    str, Written(r"/[^*\s]*\*?", "an absolute path, with a * at the end for all that begin so, as in /debug/*")
]
Origin = Annotated[str, Written(rf"https?://{HOST}", "an origin without a path, as in http://localhost:5173")]
FieldName = Annotated[str, Written(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "a header name, as in Retry-After")]
Name = Annotated[str, Written(r"\S(.*\S)?", "a name, neither empty nor with spaces around it")]

Paths = Annotated[tuple[Path, ...], Listed]
PathPatterns = Annotated[tuple[PathPattern, ...], Listed]
Origins = Annotated[tuple[Origin, ...], Listed]
FieldNames = Annotated[tuple[FieldName, ...], Listed]
Names = Annotated[tuple[Name, ...], Listed]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Listed]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
