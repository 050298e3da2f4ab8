"""Is the output the JSON that was asked for?"""

import json

import orjson

from collector.core.model import JSON, LLMCall, Trace
from scorers.base import Score, scorer
from scorers.schemas import BadSchema, validator

_MOST_CHARACTERS = 4_000_000


@scorer(name="schema_conformance", needs=("output_schema",), range=(0, 1), passing="== 1", version="1")
def schema_conformance(trace: Trace) -> Score | None:
    """1 if the output is JSON that conforms to the schema it was asked to follow, else 0.

    Judges the last model call that had a schema and did not ask for tools instead. Formats such as `date` are not
    enforced. A fenced code block around the JSON counts as not conforming: what parses it would fail too.
    """
    call = _last_structured(trace)
    if call is None or call.output_text is None:
        return None
    try:
        value = parse_json(call.output_text)
    except ValueError:
        return Score(0.0, label="not_json", explanation="the output is not JSON")
    if call.output_schema is True:
        good = isinstance(value, dict)
        return Score(float(good), label="conforms" if good else "not_an_object")
    try:
        error = validator(call.output_schema).first_error(value)
    except BadSchema:
        return None
    if error is None:
        return Score(1.0, label="conforms")
    return Score(0.0, label="does_not_conform", explanation=f"fails at {_path(error.schema_path)} of the schema")


def parse_json(text: str) -> JSON:
    """The JSON value of a text, with integers of any size.

    Raises:
        ValueError: it is no JSON, or too long, or nested too deep.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"longer than {_MOST_CHARACTERS} characters")
    try:
        value = orjson.loads(text)
    except ValueError:
        raise ValueError("not JSON") from None
    # orjson reads integers beyond 64 bits as floats, and the schema would judge a rounded value.
    return json.loads(text) if _has_long_digits(text) else value


def _has_long_digits(text: str) -> bool:
    run = 0
    for character in text if any(map(str.isdigit, text)) else "":
        run = run + 1 if character.isdigit() else 0
        if run > 18:
            return True
    return False


def _last_structured(trace: Trace) -> LLMCall | None:
    for call in reversed(trace.llm_calls):
        if call.output_schema is not None and (call.output_text or not call.tool_calls) and call.error is None:
            return call
    return None


def _path(parts: object) -> str:
    """A path of the schema, which its developer wrote; the value's own keys may be content."""
    return "/" + "/".join(str(part) for part in parts)[:200] if isinstance(parts, list | tuple) else "/"
