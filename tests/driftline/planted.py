"""Recorded requests with personal data and credentials put everywhere where a library could have written them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import TRACES_KIND
from collector.wire.read import read_bodies

FOLDER = Path(__file__).parents[1] / "data" / "traces"

SECRETS = {
    "email": "jo.planted@secret-mail.example",
    "credit_card": "4929 5678 9012 3456",
    "iban": "DE89370400440532013000",
    "phone": "+49 30 90182055",
    "secret": "ghp_9fXq2LmZ7RtVbN4cKd8WsY1eHgJ5uPa3TiQo",
    "national_id": "756.9217.0769.85",
    "ip_address": "203.0.113.77",
    "mac_address": "00:1B:44:11:3A:B7",
    "birth_date": "17.03.1968",
    "employee": "EMP-482913",
    "name": "Wilhelmina Zweistein",
}
PASSWORD = "v9#Lq2!xWzT"
NEEDLES = [*SECRETS.values(), PASSWORD, "jo.planted", "secret-mail", "Zweistein"]
RULES = [{"name": "employee", "pattern": r"EMP-\d{6}"}]

_SAID = " ".join(f"born {value}" if rule == "birth_date" else value for rule, value in SECRETS.items())
_IDENTITY = {"session.id", "user.id", "enduser.id", "gen_ai.conversation.id", "langfuse.session.id", "langfuse.user.id"}
_TEXTS = {"content", "text", "input", "output", "query", "value", "result", "arguments"}


def scenarios() -> Iterator[list[tuple[str, bytes]]]:
    """The requests of the first scenario of each dialect, planted."""
    for folder in sorted(path for path in FOLDER.iterdir() if path.is_dir()):
        expected = json.loads(sorted(folder.glob("*.expected.json"))[0].read_text())
        yield [
            (kind, planted(kind, body))
            for name in sorted(expected["files"])
            for kind, body in read_bodies((folder / name).read_bytes(), name)
        ]


def planted(kind: str, body: bytes) -> bytes:
    """The request with something planted in every text that may be content, and in places that have none."""
    message = (ExportTraceServiceRequest if kind == TRACES_KIND else ExportLogsServiceRequest).FromString(body)
    groups = message.resource_spans if kind == TRACES_KIND else message.resource_logs
    for group in groups:
        _attribute(group.resource.attributes, "service.name", f"shop of {SECRETS['email']}")
        _attribute(group.resource.attributes, "host.ip", SECRETS["ip_address"])
        for scope in group.scope_spans if kind == TRACES_KIND else group.scope_logs:
            for item in scope.spans if kind == TRACES_KIND else scope.log_records:
                _plant_item(item, kind == TRACES_KIND)
    result: bytes = message.SerializeToString()
    return result


def _plant_item(item: Any, is_span: bool) -> None:
    _plant_pairs(item.attributes)
    if is_span:
        item.name = f"{item.name} {SECRETS['email']}"
        item.status.message = f"failed for {_SAID}"
        item.trace_state = f"vendor={SECRETS['phone']}"
        for event in item.events:
            _plant_pairs(event.attributes)
        item.events.add(name=f"told {SECRETS['email']}").attributes.add(key="note").value.string_value = _SAID
        item.links.add(trace_id=b"t" * 16, span_id=b"s" * 8).attributes.add(key="why").value.string_value = _SAID
        _attribute(item.attributes, "app.password", PASSWORD)
        _attribute(item.attributes, f"of {SECRETS['email']}", "7")
        item.attributes.add(key="app.raw").value.bytes_value = _SAID.encode()
        item.attributes.add(key="app.card").value.int_value = int(SECRETS["credit_card"].replace(" ", ""))
        item.attributes.add(key="app.list").value.array_value.values.add().string_value = _SAID
        pair = item.attributes.add(key="app.map").value.kvlist_value.values.add(key="api_key")
        pair.value.string_value = PASSWORD
        hidden = json.dumps({"deep": json.dumps([f"line\n{_SAID}"])}).replace("@", "\\u0040")
        _attribute(item.attributes, "app.json", hidden)
        _attribute(item.attributes, "app.denied", "nobody would know that this is private: Zweistein")
    elif item.HasField("body"):
        _plant_value(item.body)


def _attribute(pairs: Any, key: str, value: str) -> None:
    pair = next((pair for pair in pairs if pair.key == key), None) or pairs.add(key=key)
    pair.value.Clear()
    pair.value.string_value = value


def _plant_pairs(pairs: Any) -> None:
    for pair in pairs:
        if pair.key in _IDENTITY:
            pair.value.string_value = SECRETS["email"]
        else:
            _plant_value(pair.value)


def _plant_value(value: Any) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        value.string_value = _planted_text(value.string_value)
    elif kind == "array_value":
        for item in value.array_value.values:
            _plant_value(item)
    elif kind == "kvlist_value":
        _plant_pairs(value.kvlist_value.values)


def _planted_text(text: str) -> str:
    if text[:1] in ("{", "["):
        try:
            return json.dumps(_planted_json(json.loads(text), ""))
        except ValueError:
            return text
    return f"{text} {_SAID}" if " " in text.strip() else text


def _planted_json(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _planted_json(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_planted_json(item, name) for item in value]
    if isinstance(value, str) and (" " in value or name in _TEXTS):
        return _planted_text(value) if value[:1] in ("{", "[") else f"{value}\n{_SAID}"
    return value
