"""Reading one value that may be of any type: libraries write the same fact as number, text, JSON text or list.

Every function returns None for what cannot be read; none raises.
"""

import ast
import math
from typing import Any

import orjson

from collector.core.model import JSON, FinishReason

_PYTHON_LITERAL_CHARS = 20_000  # `repr` texts longer than this are left as text


def parsed(value: JSON) -> JSON:
    """The value, or what it says if it is text that looks like JSON.

    >>> parsed('{"a": 1}'), parsed("plain"), parsed([1]), parsed("{broken")
    ({'a': 1}, 'plain', [1], '{broken')
    """
    if isinstance(value, str) and value[:1] in _JSON_STARTS:
        try:
            found = orjson.loads(value)
        except ValueError:  # also lone surrogates
            return value
        return value if _too_deep(value, found) else found
    return value


_MAX_DEPTH = 180  # of lists and maps in one JSON text: whatever walks or prints a trace may recurse
_ORJSON_DEPTH = 254  # what orjson writes


def _too_deep(text: str, value: JSON) -> bool:
    if len(text) <= 2 * _MAX_DEPTH:
        return False
    few = _MAX_DEPTH // 2  # of either bracket, as nearly always; `replace` finds them far quicker than `count`
    if "{" not in text.replace("{", " ", few) and "[" not in text.replace("[", " ", few):
        return False
    for _ in range(_ORJSON_DEPTH - _MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False


_JSON_STARTS = frozenset('{["') | frozenset(" \n\t\r")


def structured(value: JSON) -> dict[str, JSON] | list[JSON] | None:
    """A dictionary or list, also from JSON text or from the `repr` of a Python one.

    >>> structured("{'order': 'A1', 'gift': None}")
    {'order': 'A1', 'gift': None}
    """
    if isinstance(value, str):
        if value[:1] not in _JSON_STARTS:
            return None  # nearly always: plain text
        value = parsed(value)
        if isinstance(value, str):
            value = _python_literal(value)
    return value if isinstance(value, dict | list) else None


def _python_literal(value: str) -> JSON:
    if value[:1] not in ("{", "[") or value[-1:] not in ("}", "]") or len(value) > _PYTHON_LITERAL_CHARS:
        return None
    try:
        literal = ast.literal_eval(value)
        if _too_deep(value, literal):
            return None
        orjson.dumps(literal)  # sets, bytes and complex numbers are no JSON
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return literal


def text(value: JSON) -> str | None:
    """Text that says something: None for empty text and for what is no text."""
    return value if isinstance(value, str) and value else None


def word(value: JSON) -> str | None:
    """A short text such as an id or a name; quotes of a JSON-encoded text are taken off, a list gives its first.

    >>> word('"gpt-4o"'), word(["stop"]), word(7), word("")
    ('gpt-4o', 'stop', '7', None)
    """
    if isinstance(value, str):
        if value[:1] in _WORD_WRAPPERS:
            inner = parsed(value)
            return word(inner) if inner != value else value
        return value or None
    if isinstance(value, list):
        return word(value[0]) if value else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return None


_WORD_WRAPPERS = frozenset('"[')


def count(value: JSON) -> int | None:
    """A number of things: never negative, also from text or a whole float.

    >>> count(3), count("12"), count(4.0), count(-1), count(True)
    (3, 12, 4, None, None)
    """
    if type(value) is int:  # nearly always
        return value if value >= 0 else None
    number = real(value)
    if number is None or number < 0 or number != int(number):
        return None
    return int(number)


def unquoted(quoted: str) -> str:
    """The text that a Python literal stands for, with its quotes.

    >>> unquoted(r"'four\\ndegrees'")
    'four\\ndegrees'
    """
    try:
        return str(ast.literal_eval(quoted))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return quoted[1:-1]


def real(value: JSON) -> float | None:
    """A finite number, also from text.

    >>> real("0.912"), real("nan"), real([1])
    (0.912, None, None)
    """
    if type(value) is float and math.isfinite(value):  # nearly always
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def amount(value: JSON) -> float | None:
    """A number that is never negative: seconds, dollars.

    >>> amount("0.25"), amount(0), amount(-1)
    (0.25, 0.0, None)
    """
    number = real(value)
    return None if number is None or number < 0 else number


def as_text(value: JSON) -> str | None:
    """Text as it is, anything else as JSON text."""
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        return None


def at(value: JSON, *path: str | int) -> JSON:
    """What stands at a path of keys and positions, going through JSON text on the way.

    >>> at({"a": '[{"b": 5}]'}, "a", 0, "b")
    5
    """
    for step in path:
        value = parsed(value)
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "completed": "stop",
    "complete": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "finish": "stop",
    "endoftext": "stop",
    "user_cancel": "stop",
    "length": "length",
    "max_tokens": "length",
    "incomplete": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "error_limit": "length",
    "token_limit": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "function_calls": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "guardrail_intervened": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "image_safety": "content_filter",
    "error_toxic": "content_filter",
    "error": "error",
    "failed": "error",
    "malformed_function_call": "error",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "timeout": "error",
}


def finish_reason(value: JSON) -> FinishReason | None:
    """Providers' spellings of why a model stopped, as one of five words.

    >>> finish_reason("tool-calls"), finish_reason(["end_turn"]), finish_reason("FinishReason.MAX_TOKENS")
    ('tool_calls', 'stop', 'length')
    """
    spelled = word(value)
    if spelled is None:
        return None
    known = _FINISH.get(spelled)
    if known is not None:
        return known
    return _FINISH.get(spelled.rsplit(".", 1)[-1].strip().lower().replace("-", "_").replace(" ", "_"))


def mapping(value: Any) -> dict[str, JSON]:
    """The value if it is a dictionary, also as JSON text; otherwise an empty one."""
    value = parsed(value)
    return value if isinstance(value, dict) else {}
