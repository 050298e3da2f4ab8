"""A whole trace redacted, content and all: for those who are shown it, and are not scorers in this process."""

from dataclasses import fields, is_dataclass
from typing import Any

from collector.core.model import JSON, Trace
from collector.redaction.attributes import AttributeLists
from collector.redaction.redactor import Redactor

_IDENTIFIERS = frozenset({"trace_id", "span_id", "root_span_id"})  # random numbers, by which everything is found again
_RESOURCE = "resource"


def redact_trace(trace: Trace, redactor: Redactor, lists: AttributeLists) -> None:
    """Redact every text of a trace in place; attributes are known as `question`, `resource.service.name`, and so on."""
    for field in fields(trace):
        if field.name == _RESOURCE:  # a new one: the old is shared by many traces
            trace.resource = {
                redactor.text(key): _told(f"{_RESOURCE}.{key}", value, redactor, lists)
                for key, value in trace.resource.items()
            }
        elif field.name not in _IDENTIFIERS:
            setattr(trace, field.name, _told(field.name, getattr(trace, field.name), redactor, lists))


def _told(name: str, value: Any, redactor: Redactor, lists: AttributeLists) -> Any:
    verdict = lists.verdict(name)
    if verdict == "allow":
        return value
    if verdict == "deny" and isinstance(value, str):
        return redactor.whole(value)
    return _clean(name, value, redactor)


def _clean(name: str, value: JSON, redactor: Redactor) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name not in _IDENTIFIERS:
                setattr(value, field.name, _clean(field.name, getattr(value, field.name), redactor))
        return value
    if isinstance(value, list) and any(is_dataclass(item) for item in value):
        return [_clean(name, item, redactor) for item in value]
    return redactor.field(name, value)
