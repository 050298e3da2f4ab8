"""A tool run's arguments and result, out of the wrappers that libraries put around them."""

import re

from collector.core.model import JSON
from collector.dialects.turns import call_arguments
from collector.dialects.values import mapping, parsed, text, unquoted, word


def tool_arguments(value: JSON) -> JSON:
    """What the tool was called with: named arguments where they are told.

    >>> tool_arguments('{"args": [], "kwargs": {"city": "Oslo"}}')
    {'city': 'Oslo'}
    >>> tool_arguments('{"input_str": "{\\'city\\': \\'Oslo\\'}", "tags": []}')
    {'city': 'Oslo'}
    """
    value = call_arguments(value)
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("kwargs"), dict) and set(value) <= _CALL_KEYS:
        if value["kwargs"]:
            return value["kwargs"]
        positional = value.get("args")
        if isinstance(positional, list) and len(positional) == 1:
            return positional[0]
        return positional or {}
    if "input_str" in value:
        return call_arguments(value["input_str"])
    return value


_CALL_KEYS = frozenset({"args", "kwargs", "sanitize_inputs_outputs"})


def tool_result(value: JSON) -> JSON:
    """What the tool returned: JSON where it is, otherwise text.

    >>> tool_result('{"type": "tool", "data": {"content": "4 degrees"}}')
    '4 degrees'
    """
    value = parsed(value)
    told = _PRINTED_MESSAGE.match(value) if isinstance(value, str) else None
    if told is not None:
        value = parsed(unquoted(told[1]))
    for _ in range(4):  # wrappers nest: an output that holds a message that holds content
        inner = _unwrapped(value)
        if inner is None:
            return value
        value = parsed(inner)
    return value


# LangChain's message with a result, as Python prints it: content='4 degrees' name='weather' tool_call_id='c1'
_PRINTED_MESSAGE = re.compile(
    r"content=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\") (?:[a-z_]+=.*)?tool_call_id=", re.DOTALL
)


def _unwrapped(value: JSON) -> JSON:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and len(value[0]) == 1:
        return value[0].get("text", value[0].get("json"))  # Bedrock's and Strands' list of one part
    if not isinstance(value, dict):
        return None
    if value.get("type") == "constructor" or (value.get("type") == "tool" and isinstance(value.get("data"), dict)):
        return mapping(value.get("kwargs") or value.get("data")).get("content")
    if value.get("type") == "tool" and "tool_call_id" in value and "content" in value:
        return value["content"]  # LangChain's message with a result
    if set(value) <= {"output", "kwargs"} and "output" in value:
        return value["output"]
    if value.get("type") in ("json", "text") and "value" in value:
        return value["value"]
    if "raw_output" in value and "tool_name" in value:  # LlamaIndex
        return value["raw_output"]
    return None


def tool_definitions(value: JSON) -> list[dict[str, JSON]]:
    """Tools as `{name, description, parameters}`, from the forms of OpenAI, Anthropic and the conventions.

    >>> tool_definitions('[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]')
    [{'name': 'f', 'description': None, 'parameters': {'type': 'object'}}]
    """
    value = parsed(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return []
    return [found for item in value for one in _declared(item) if (found := _definition(one)) is not None]


def _declared(value: JSON) -> list[JSON]:
    """Gemini declares several functions in one tool."""
    value = parsed(value) if isinstance(value, str) else value
    for key in ("function_declarations", "functionDeclarations"):
        if isinstance(value, dict) and key in value and isinstance(value[key], list):
            declared: list[JSON] = value[key]
            return declared
    return [value]


def _definition(value: JSON) -> dict[str, JSON] | None:
    value = mapping(value)
    tool = mapping(value.get("function")) or mapping(value.get("toolSpec")) or mapping(value.get("data")) or value
    name = word(tool.get("name"))
    if name is None:
        return None
    parameters: JSON = None
    for key in ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "schema"):
        if tool.get(key) is not None:
            parameters = parsed(tool[key])
            break
    if isinstance(parameters, dict) and isinstance(parameters.get("json"), dict):
        parameters = parameters["json"]
    return {
        "name": name,
        "description": text(tool.get("description")),
        "parameters": parameters if isinstance(parameters, dict) else None,
    }


def output_schema(value: JSON) -> JSON:
    """The JSON Schema that an answer had to follow, True for "any JSON", None for free text.

    Takes the schema itself, OpenAI's `response_format` and `text.format`, the word `json`, or the name of a class.

    >>> output_schema({"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}), output_schema("json")
    ({'type': 'array'}, True)
    """
    value = parsed(value)
    if isinstance(value, str):
        return True if value in ("json", "json_object", "object") or value.startswith("<class ") else None
    if value is True:
        return True
    if not isinstance(value, dict) or not value:
        return None
    form = value.get("type")
    if form == "text":
        return None
    if form == "json_object":
        return True
    if form == "json_schema":
        wrapped = mapping(value.get("json_schema")) or value
        return mapping(wrapped.get("schema")) or True
    if isinstance(value.get("format"), dict):
        return output_schema(value["format"])
    schema = mapping(value.get("schema"))
    return schema or (value if {"type", "properties", "$ref", "anyOf", "$defs", "oneOf"} & set(value) else None)
