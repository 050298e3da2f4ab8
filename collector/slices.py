"""The low-cardinality attributes by which everything is broken down: read from a trace by the paths of `slices:`."""

from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator

from collector.core.model import LLMCall, Slices, Trace

UNKNOWN = "unknown"
_LONGEST = 120  # characters of a value; the rest is cut, so that content cannot become a label
_RESOURCE = "resource."
_LLM_FIELDS: dict[str, Callable[[LLMCall], str | None]] = {
    "llm.request_model": lambda call: call.request_model,
    "llm.response_model": lambda call: call.response_model,
    "llm.model": lambda call: call.model,
    "llm.provider": lambda call: call.provider,
}
_TRACE_FIELDS: dict[str, Callable[[Trace], str | None]] = {
    "name": lambda trace: trace.name,
    "tenant": lambda trace: trace.tenant,
    "prompt_name": lambda trace: trace.prompt_name,
    "prompt_version": lambda trace: trace.prompt_version,
    "dialect": lambda trace: "+".join(trace.dialects),
    "tools": lambda trace: "+".join(sorted({call.name for call in trace.tool_executions if call.name})),
}


def check_path(path: str) -> str:
    """`path` if it can be read from a trace.

    Raises:
        ValueError: it cannot; the message lists what can.
    """
    if path in _LLM_FIELDS or path in _TRACE_FIELDS or (path.startswith(_RESOURCE) and len(path) > len(_RESOURCE)):
        return path
    allowed = ", ".join([*_TRACE_FIELDS, *_LLM_FIELDS, "resource.ATTRIBUTE"])
    raise ValueError(f"{path!r} is not one of {allowed}")


SlicePath = Annotated[str, AfterValidator(check_path)]

DEFAULT_SLICES: dict[str, str] = {
    "service": "resource.service.name",
    "version": "resource.service.version",
    "model": "llm.request_model",
    "prompt": "prompt_version",
}


class SliceReader:
    """Reads the configured slices of a trace; what a trace does not tell is `unknown`.

    >>> SliceReader({"service": "resource.service.name"}).read(Trace("00", resource={"service.name": "shop"}))
    {'service': 'shop'}
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._readers = {name: _reader(check_path(path)) for name, path in paths.items()}

    def read(self, trace: Trace) -> Slices:
        return {name: _clean(read(trace)) for name, read in self._readers.items()}


def _reader(path: str) -> Callable[[Trace], object]:
    if path in _TRACE_FIELDS:
        return _TRACE_FIELDS[path]
    if path in _LLM_FIELDS:
        field = _LLM_FIELDS[path]
        return lambda trace: next((value for call in trace.llm_calls if (value := field(call))), None)
    key = path.removeprefix(_RESOURCE)
    return lambda trace: trace.resource.get(key)


def _clean(value: object) -> str:
    if value is None or value == "" or isinstance(value, dict | list):
        return UNKNOWN
    return " ".join(str(value)[:_LONGEST].split()) or UNKNOWN
