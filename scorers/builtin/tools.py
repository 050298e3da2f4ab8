"""Tool calls: do they fit what was declared, and are they repeated for nothing?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from collector.core.model import JSON, LLMCall, RequestedCall, ToolCall, Trace
from scorers.base import Score, scorer
from scorers.schemas import BadSchema, plain_types, validator

_MOST_CALLS = 1_000
_NAMED_IN_EXPLANATION = 5


@scorer(name="tool_call_validity", needs=("tool_calls", "tool_definitions"), range=(0, 1), passing="== 1", version="1")
def tool_call_validity(trace: Trace) -> Score | None:
    """Share of the requested tool calls that fit a declared tool: name, required and known arguments, types.

    An argument that the schema does not name is a fault unless the schema allows others itself
    (`additionalProperties`). Valid says nothing of right: a wrong city is a valid string. A tool whose own schema is
    broken is checked by name only.
    """
    everything = [tool for call in trace.llm_calls for tool in call.tool_definitions]
    faults: list[_Fault] = []
    count = 0
    for llm_call, requested in _requested(trace):
        count += 1
        fault = _fault(requested, llm_call.tool_definitions or everything)
        if fault is not None:
            faults.append(fault)
    if count == 0:
        return None
    label = faults[0].kind if faults else "valid"
    return Score(round(1 - len(faults) / count, 6), label=label, explanation=_explain(faults, count))


@scorer(name="repeated_calls", needs=("tools_used",), range=(0, 1), passing="== 0", better="lower", version="1")
def repeated_calls(trace: Trace, *, retries: int = 1) -> Score:
    """Share of the tool calls that repeat an earlier one of the trace: same tool, same arguments.

    A call that failed may be tried again `retries` times without counting. Wrong on tools that are asked
    again on purpose, such as a job's status, or a read after a write.
    """
    seen: dict[bytes, int] = {}
    failures: dict[bytes, int] = {}
    repeats: dict[str, int] = {}
    count = 0
    for name, arguments, failed in islice(_calls(trace), _MOST_CALLS):
        count += 1
        key = name.encode("utf-8", "replace") + b"\0" + _canonical(arguments)
        if key in seen and seen[key] >= 1 + min(failures.get(key, 0), retries):
            repeats[name] = repeats.get(name, 0) + 1
        seen[key] = seen.get(key, 0) + 1
        failures[key] = failures.get(key, 0) + failed
    repeated = sum(repeats.values())
    explanation = f"{repeated} of {count} calls repeat an earlier one"
    return Score(round(repeated / count, 6) if count else 0.0, explanation=explanation)


def accepts(tool: dict[str, JSON], arguments: JSON) -> bool:
    """Whether a call of the tool with these arguments fits its declaration."""
    return _fault(RequestedCall(str(tool.get("name")), arguments), [tool]) is None


@dataclass(frozen=True, slots=True)
class _Fault:
    tool: str
    kind: str  # unknown_tool, not_an_object, unknown_argument, missing_argument, bad_argument
    argument: str = ""


def _requested(trace: Trace) -> Iterator[tuple[LLMCall, RequestedCall]]:
    pairs = ((call, requested) for call in trace.llm_calls for requested in call.tool_calls)
    return islice(pairs, _MOST_CALLS)


def _calls(trace: Trace) -> Iterator[tuple[str, JSON, bool]]:
    """Tool runs; where the trace has none, the calls that the model asked for."""
    if trace.tool_executions:
        runs: list[ToolCall] = sorted(trace.tool_executions, key=lambda run: run.start_ns)
        for run in runs:
            yield run.name, run.arguments, run.error is not None
    else:
        for _, requested in _requested(trace):
            yield requested.name, requested.arguments, False


def _fault(requested: RequestedCall, tools: Sequence[dict[str, JSON]]) -> _Fault | None:
    tool = next((tool for tool in tools if tool.get("name") == requested.name), None)
    if tool is None:
        return _Fault(requested.name, "unknown_tool") if tools else None
    arguments = _object(requested.arguments)
    if arguments is None:
        return _Fault(requested.name, "not_an_object")
    declared = tool.get("parameters")
    if not isinstance(declared, dict):
        return None
    try:
        schema = plain_types(declared)
    except BadSchema:
        return None
    unknown = _unknown_argument(arguments, schema)
    if unknown is not None:
        return _Fault(requested.name, "unknown_argument", unknown)
    return _schema_fault(requested.name, _given(arguments, schema), schema)


def _given(arguments: dict[str, JSON], schema: dict[str, JSON]) -> dict[str, JSON]:
    """The arguments that say something: an optional one that is null, or its declared default, is as good as absent."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return arguments
    needed = required if isinstance(required, list) else []
    return {
        name: value
        for name, value in arguments.items()
        if name in needed or not (value is None or _is_default(value, properties.get(name)))
    }


def _is_default(value: JSON, declared: JSON) -> bool:
    return isinstance(declared, dict) and "default" in declared and declared["default"] == value


def _object(arguments: JSON) -> dict[str, JSON] | None:
    if arguments is None or arguments == "":
        return {}
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except ValueError:
            return None
    return arguments if isinstance(arguments, dict) else None


def _unknown_argument(arguments: dict[str, JSON], schema: dict[str, JSON]) -> str | None:
    properties = schema.get("properties")
    open_ended = {"additionalProperties", "patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if"} & schema.keys()
    if not isinstance(properties, dict) or open_ended:
        return None
    return next((name for name in arguments if name not in properties), None)


def _schema_fault(tool: str, arguments: dict[str, JSON], schema: dict[str, JSON]) -> _Fault | None:
    try:
        error = validator(schema).first_error(arguments)
    except BadSchema:
        return None
    if error is None:
        return None
    path = [str(part) for part in error.schema_path]
    if path[-1:] == ["required"] and not list(error.instance_path):
        return _Fault(tool, "missing_argument")
    # The schema's names, not the call's: a developer wrote them, so they hold no content.
    return _Fault(tool, "bad_argument", "/".join(path)[:100])


def _canonical(arguments: JSON) -> bytes:
    value = _object(arguments) if isinstance(arguments, str) else arguments
    try:
        return orjson.dumps(arguments if value is None else value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError):
        return repr(arguments).encode("utf-8", "replace")


def _explain(faults: Sequence[_Fault], count: int) -> str | None:
    if not faults:
        return None
    named = [f"{fault.kind} {fault.tool}" for fault in faults if fault.kind != "unknown_tool"]
    unknown = sum(fault.kind == "unknown_tool" for fault in faults)
    parts = [*named[:_NAMED_IN_EXPLANATION], *([f"{unknown} of unknown tools"] if unknown else [])]
    return f"{len(faults)} of {count} calls are not valid: {', '.join(parts)}"
