"""What is wrong with a configuration: one line a fault, with its path, the value and what is allowed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from collector.core.settings import parse_duration, parse_size
from driftline.units import duration_text, size_text

Path = tuple[str | int, ...]

_LONGEST_VALUE = 80
_LIST, _MAPPING = "must be a list, such as [a, b]", "must be a mapping of keys to values, such as {key: value}"
_WHOLE, _NUMBER, _TRUTH, _TEXT = "must be a whole number", "must be a number", "must be true or false", "must be text"
_ALLOWED = {
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), _TEXT),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), _TRUTH),
    **dict.fromkeys(("list_type", "tuple_type", "is_instance_of", "sequence_str"), _LIST),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), _MAPPING),
    **dict.fromkeys(("path_type",), "must be a path"),
}
_BOUNDS = {
    "greater_than": ("must be more than", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be less than", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
_COUNTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "literal_error": lambda given: f"must be {given['expected']}",
    "string_pattern_mismatch": lambda given: f"must match {given['pattern']}",
    "string_too_short": lambda given: f"must have at least {given['min_length']} characters",
    "string_too_long": lambda given: f"must have at most {given['max_length']} characters",
    "too_short": lambda given: f"must have at least {given['min_length']} items, has {given['actual_length']}",
    "too_long": lambda given: f"must have at most {given['max_length']} items",
}


def faults(title: str, found: Sequence[tuple[Path, str]]) -> ValidationError:
    """The error that a validator of several fields raises: each fault with the path below that validator's model."""
    return ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(type=PydanticCustomError("value_error", "{said}", {"said": said}), loc=path, input=None)
            for path, said in found
        ],
    )


def describe(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Path, str]]:
    """Each fault: the path of the value, and the whole line about it. No value of a secret is ever in it."""
    for problem in error.errors(include_url=False):
        yield problem["loc"], _line(problem, model)


def path_text(path: Path) -> str:
    """
    >>> path_text(("monitors", 0, "by"))
    'monitors[0].by'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _line(problem: Any, model: type[BaseModel]) -> str:
    path, kind = problem["loc"], problem["type"]
    if kind == "invalid_key" or path[-1:] == ("[key]",):
        where = path_text(path[:-2] if path[-1] == "[key]" else path[:-1])
        return f"{where}: the key {problem['input']!r} must be text".removeprefix(": ")
    if kind == "extra_forbidden":
        said = "there is no such key" + _instead(str(path[-1]), model_at(model, path[:-1]))
    elif kind == "missing":
        said = "is missing, and has no default"
    elif kind in ("value_error", "assertion_error"):
        said = problem["msg"].removeprefix("Value error, ")
    else:
        said = f"{_shown(problem['input'])}: {_allowed(problem)}"
    return f"{path_text(path)}: {said}" if path else str(said)


def _allowed(problem: Any) -> str:
    kind, given = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {_like(problem['input'], given[bound])}"
    if kind in _COUNTS:
        return _COUNTS[kind](given)
    return _ALLOWED.get(kind) or str(problem["msg"])


def _like(value: object, bound: float) -> str:
    """A bound in the unit that the value was given in."""
    if isinstance(value, str):
        with suppress(ValueError):
            parse_duration(value)
            return duration_text(bound)
        with suppress(ValueError):
            parse_size(value)
            return size_text(round(bound))
    return f"{bound:g}"


def _shown(value: object) -> str:
    """The value as it would stand in the file; lists and mappings only by name, for they may hold anything."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "...")
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


def _instead(key: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return ""
    close = get_close_matches(key, model.model_fields, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(model.model_fields)}"


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that the keys below `path` belong to, None if they are free."""
    found: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, str):
            if found is None or part not in found.model_fields:
                return None
            found = model_in(found.model_fields[part].annotation)
    return found


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The configuration model in an annotation such as `Sequence[MonitorConfig]` or `KafkaConfig | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := model_in(part)) is not None), None)
