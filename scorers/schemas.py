"""JSON Schemas as validators: compiled once, never fetched from anywhere, with the type names that models are given."""

from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from collector.core.model import JSON
from scorers.schema_work import SchemaWork, TooMuchWork

_MOST_SCHEMA_BYTES = 1_000_000
_TYPE_SPELLINGS = {
    "dict": "object",
    "float": "number",
    "double": "number",
    "int": "integer",
    "long": "integer",
    "str": "string",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "any": None,
}
"""Python and Java type names that function definitions carry in place of JSON Schema's."""

_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_NOT_SCHEMAS = frozenset({"enum", "const", "default", "examples", "required"})


class BadSchema(Exception):
    """What was declared is no JSON Schema, or refers to a document outside of it."""


class Validator:
    """A compiled schema. `$schema` names the draft, else 2020-12."""

    def __init__(self, compiled: Any, work: SchemaWork) -> None:
        self._compiled, self._work = compiled, work

    def first_error(self, value: JSON) -> Any:
        """What is wrong with a value, with its `schema_path` and `instance_path`; None if nothing is.

        Raises:
            BadSchema: it asks for too much.
        """
        try:
            self._work.check(value)
        except TooMuchWork:
            raise BadSchema("more work than a value is worth") from None
        try:
            self._compiled.validate(value)  # ends at the first; `iter_errors` would make them all
        except jsonschema_rs.ValidationError as error:
            return error
        return None


def validator(schema: JSON) -> Validator:
    """The validator of a schema.

    Raises:
        BadSchema: it cannot be compiled.
    """
    try:
        canonical = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadSchema(f"not a JSON Schema: {type(error).__name__}") from None
    if len(canonical) > _MOST_SCHEMA_BYTES:
        raise BadSchema(f"larger than {_MOST_SCHEMA_BYTES} bytes")
    found = _compiled(canonical)
    if isinstance(found, str):
        raise BadSchema(found)
    return found


@lru_cache(maxsize=512)
def _compiled(canonical: bytes) -> Validator | str:
    schema = orjson.loads(canonical)
    try:
        compiled = jsonschema_rs.validator_for(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=20_000),
        )
        return Validator(compiled, SchemaWork(schema))
    except (ValueError, TypeError, RecursionError) as error:
        return f"not a usable JSON Schema: {type(error).__name__}"


def _refuse(uri: str) -> JSON:
    raise ValueError(f"documents are not fetched: {uri[:200]}")


def plain_types(schema: JSON, depth: int = 0) -> JSON:
    """The schema with types such as `dict` or `float` spelled as JSON Schema does, and `any` left out.

    >>> plain_types({"type": "dict", "properties": {"type": {"type": "float"}}})
    {'type': 'object', 'properties': {'type': {'type': 'number'}}}
    """
    if depth > 60:
        raise BadSchema("nested deeper than 60")
    if isinstance(schema, list):
        return [plain_types(item, depth + 1) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain: dict[str, JSON] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            spelled = _TYPE_SPELLINGS.get(value.lower(), value.lower())
            if spelled is not None:
                plain[key] = spelled
        elif key in _BY_NAME and isinstance(value, dict):
            plain[key] = {name: plain_types(part, depth + 1) for name, part in value.items()}
        else:
            plain[key] = value if key in _NOT_SCHEMAS else plain_types(value, depth + 1)
    return plain
