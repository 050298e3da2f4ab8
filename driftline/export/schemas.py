"""The published forms: JSON Schema files beside this one, and the tables of them in the documentation."""

from importlib.resources import files
from typing import Any

import orjson

FORMS = ("score", "change", "case")


def schema(form: str) -> dict[str, Any]:
    """The JSON Schema of `score`, `change` or `case`."""
    loaded: dict[str, Any] = orjson.loads(files("driftline.export").joinpath(f"{form}.schema.json").read_bytes())
    return loaded


def tables() -> str:
    """Every form as a table in Markdown."""
    return "\n".join(_table(form) for form in FORMS)


def _table(form: str) -> str:
    described = schema(form)
    head = f"### {form.capitalize()}\n\n{described['description']}\n\n| field | type | meaning |\n|---|---|---|\n"
    rows = (f"| `{name}` | {_type(one)} | {one['description']} |\n" for name, one in described["properties"].items())
    parts = (_part(name, one) for name, one in described.get("$defs", {}).items())
    return head + "".join((*rows, *parts))


def _part(name: str, described: dict[str, Any]) -> str:
    fields = (f"`{field}` ({_type(one)}), {one['description']}" for field, one in described["properties"].items())
    return f"\n**{name}**: {'; '.join(fields)}.\n"


def _type(described: dict[str, Any]) -> str:
    """
    >>> _type({"type": ["string", "null"], "format": "date-time"})
    'time or null'
    """
    if "const" in described:
        return f"`{described['const']}`"
    if "enum" in described:
        return ", ".join(f"`{value}`" for value in described["enum"])
    if "$ref" in described:
        return str(described["$ref"]).rpartition("/")[2]
    given = described["type"]
    types: list[str] = given if isinstance(given, list) else [given]
    words = {"string": "time" if described.get("format") == "date-time" else "text", "boolean": "true or false"}
    if "items" in described:
        words["array"] = f"list of {_type(described['items'])}"
    if isinstance(described.get("additionalProperties"), dict):
        words["object"] = f"mapping to {_type(described['additionalProperties'])}"
    return " or ".join(words.get(one, one) for one in types)
