"""Requests as exporters send them: several traces in one, spans and log records apart, children before their root."""

from collections.abc import Iterable, Sequence
from typing import Any

from collector.core.engine import EVENTS_KIND, TRACES_KIND
from driftline.demo.recordings import spans

Part = tuple[str, Any]
"""A request message and its kind."""


def batched(casts: Iterable[Sequence[Part]], events_first: bool) -> list[Part]:
    """The requests for traces that end at about the same time.

    The first span requests of all casts go together, then their second ones, and so on; all log records share one
    request, which comes before the spans or after them.
    """
    rounds: list[list[Any]] = []
    events: list[Any] = []
    for cast in casts:
        parts = [message for kind, message in cast if kind == TRACES_KIND]
        events += [message for kind, message in cast if kind == EVENTS_KIND]
        for number, message in enumerate(parts):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(message)
    result = [(TRACES_KIND, merged(messages, "resource_spans", "scope_spans", "spans")) for messages in rounds]
    if events:
        request = (EVENTS_KIND, merged(events, "resource_logs", "scope_logs", "log_records"))
        result.insert(0 if events_first else len(result), request)
    return result


def merged(messages: Sequence[Any], resources: str, scopes: str, items: str) -> Any:
    """One request with everything in `messages`, grouped by resource and scope, in order of first appearance."""
    result = type(messages[0])()
    groups: dict[bytes, Any] = {}
    for message in messages:
        for recorded in getattr(message, resources):
            resource_key = recorded.resource.SerializeToString(deterministic=True) + recorded.schema_url.encode()
            if resource_key not in groups:
                groups[resource_key] = getattr(result, resources).add(schema_url=recorded.schema_url)
                groups[resource_key].resource.CopyFrom(recorded.resource)
            for scope in getattr(recorded, scopes):
                key = (
                    resource_key + b"|" + scope.scope.SerializeToString(deterministic=True) + scope.schema_url.encode()
                )
                if key not in groups:
                    groups[key] = getattr(groups[resource_key], scopes).add(schema_url=scope.schema_url)
                    groups[key].scope.CopyFrom(scope.scope)
                getattr(groups[key], items).extend(getattr(scope, items))
    return result


def root_last(cast: Sequence[Part]) -> list[Part]:
    """The cast with its roots in a request of their own after all other spans, as when the export interval ends in the
    middle of a trace. Unchanged if its spans are spread over requests already, or if it has roots only."""
    parts = [message for kind, message in cast if kind == TRACES_KIND]
    if len(parts) != 1 or all(not span.parent_span_id for span in spans(parts[0])):
        return list(cast)
    others = [part for part in cast if part[0] != TRACES_KIND]
    return [(TRACES_KIND, _only(parts[0], roots=False)), (TRACES_KIND, _only(parts[0], roots=True)), *others]


def _only(message: Any, roots: bool) -> Any:
    """The request with its root spans only, or without them."""
    result = type(message)()
    result.CopyFrom(message)
    for resource_spans in result.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            kept = [span for span in scope_spans.spans if (not span.parent_span_id) == roots]
            del scope_spans.spans[:]
            scope_spans.spans.extend(kept)
        kept_scopes = [scope for scope in resource_spans.scope_spans if scope.spans]
        del resource_spans.scope_spans[:]
        resource_spans.scope_spans.extend(kept_scopes)
    kept_resources = [group for group in result.resource_spans if group.scope_spans]
    del result.resource_spans[:]
    result.resource_spans.extend(kept_resources)
    return result
