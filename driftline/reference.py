"""The reference parts of the documentation, written from the code; `python -m driftline.reference` renews them.

Configuration keys come from the models, metrics from a service that is built but not started.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from alerts.http import Address as HttpAddress
from alerts.limit import RateLimit
from alerts.notifiers.email import MailAddress
from alerts.reference import between_marks
from alerts.reference import in_document as with_metrics
from collector.allowance import Limit
from collector.core.frequency import Frequency
from collector.core.settings import Duration, Secret, Size
from collector.core.telemetry import Telemetry
from collector.engines.kafka_metrics import KafkaMetrics
from collector.receivers.access import GuessLimit, RequestRate
from collector.receivers.kafka_config import Topics
from collector.sample import Rate
from collector.slices import SlicePath
from drift.budget import FalsePages
from driftline.build import build
from driftline.config import DEFAULT_SCORERS, Address, Budget, Config, ScorerEntry
from driftline.export.schemas import tables
from driftline.faults import model_in
from driftline.reload import Reloader
from driftline.units import duration_text, size_text
from driftline.web.app import create_app

HOW = "python -m driftline.reference"
_ANY_PORT = "127.0.0.1:0"
BEGIN, END = "<!-- configuration: written from the code, do not edit -->", "<!-- /configuration -->"
BEGIN_FORMS, END_FORMS = "<!-- forms: written from the schemas, do not edit -->", "<!-- /forms -->"
_HEAD = "| key | value | default | meaning |\n|---|---|---|---|\n"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", Any: "anything"}


def _marker(annotation: Any) -> object:
    """What tells one of our annotated types from another: its first validator or constraint."""
    first = get_args(annotation)[1]
    return first.func if isinstance(first, BeforeValidator) else first


_MARKED = {
    id(_marker(kind)): words
    for kind, words in (
        (Duration, "duration"),
        (Size, "size"),
        (Secret, "secret"),
        (RequestRate, "N per PERIOD"),
        (GuessLimit, "N per PERIOD"),
        (Topics, "text, or a list of it"),
        (Address, "HOST:PORT"),
        (HttpAddress, "http(s) address"),
        (SlicePath, "place in a trace"),
        (Budget, "N per PERIOD"),
        (Limit, "N per PERIOD"),
        (RateLimit, "N per PERIOD"),
        (MailAddress, "e-mail address"),
        (ScorerEntry, "name or mapping"),
        (Rate, "0 to 1"),
    )
}


def configuration_table() -> str:
    """Every key of the configuration, a table a section.

    Each row has the key, what values look like, the default in the units that the file uses, and the meaning.
    """
    return "\n".join(_section(name, field) for name, field in Config.model_fields.items())


def configuration_document(text: str) -> str:
    """The document with what stands between its two marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    return between_marks(text, BEGIN, configuration_table(), END)


def metrics_document(text: str) -> str:
    """The document of metrics with all that a service has which uses every part."""
    return with_metrics(text, all_telemetry())


def exports_document(text: str) -> str:
    """The document of exports with a table of every form.

    Raises:
        ValueError: the marks are missing.
    """
    return between_marks(text, BEGIN_FORMS, tables(), END_FORMS)


def all_telemetry() -> Telemetry:
    """The instruments of a service with every listener, reading from Kafka, sending events, and those of a cluster."""
    with tempfile.TemporaryDirectory() as folder:
        document = {
            "listen": {"otlp_http": _ANY_PORT, "otlp_grpc": _ANY_PORT, "web": _ANY_PORT},
            "store": {"path": Path(folder) / "reference.db"},
            "kafka": {"brokers": ["127.0.0.1:9"]},
            "scorers": [*DEFAULT_SCORERS, "session_turns"],
            "events": {"otlp_http": "http://127.0.0.1:9"},
            "export": {"kafka": {"brokers": ["127.0.0.1:9"]}, "parquet": {"path": Path(folder) / "lake"}},
        }
        config = Config.model_validate(document)
        service = build(config)
        Reloader(service, config, None)
        try:
            service.drain()  # some parts come with their partition
            create_app(service).build_middleware_stack()
            KafkaMetrics(service.telemetry)
        finally:
            service.stop()
        return service.telemetry


def all_keys() -> Iterator[tuple[str, FieldInfo]]:
    """Every key there is, by its path, such as `alerts.webhook.url` or `monitors[].watch`."""
    for name, field in Config.model_fields.items():
        yield name, field
        yield from _below(name, field)


def _section(name: str, field: FieldInfo) -> str:
    model = model_in(field.annotation)
    rows = [] if model is not None and get_origin(field.annotation) is None else [(name, field)]
    said = (model.__doc__ or "").strip().splitlines()[0] if model is not None else ""
    table = _HEAD + "".join(_row(path, one) for path, one in [*rows, *_below(name, field)])
    return f"### `{name}`\n\n" + (f"{said}\n\n" if said else "") + table


def _below(path: str, field: FieldInfo) -> Iterator[tuple[str, FieldInfo]]:
    model = model_in(field.annotation)
    if model is None:
        return
    is_list = _is_list(field.annotation)
    for name, inner in model.model_fields.items():
        inner_path = f"{path}{'[]' if is_list else ''}.{name}"
        yield inner_path, inner
        yield from _below(inner_path, inner)


def _row(path: str, field: FieldInfo) -> str:
    words = type_words(field.annotation, field.metadata)
    cells = (f"`{path}`", words, _default(field, words), (field.description or "").rstrip("."))
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |\n"


def type_words(annotation: Any, metadata: Sequence[object] = ()) -> str:
    """What values look like, in users' words.

    >>> type_words(Duration | None), type_words(Sequence[str]), type_words(Literal["a", "b"])
    ('duration or null', 'list: text', '`a` or `b`')
    """
    if annotation is float and {Ge(0), Le(1)} <= set(metadata):
        return "0 to 1"
    for mark in metadata:
        key = id(mark.func if isinstance(mark, BeforeValidator) else mark)
        if key in _MARKED:
            return _MARKED[key]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(inner[0], inner[1:])
    if origin in (Union, UnionType):
        return " or ".join("null" if one is NoneType else type_words(one) for one in inner)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if _is_list(annotation):
        return f"list: {type_words(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping to {type_words(inner[1])}"
    return "mapping" if model_in(annotation) else _WORDS[annotation]


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _default(field: FieldInfo, words: str) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    return _value(value, words)


def _value(value: Any, words: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if words.startswith("duration"):
        return f"`{duration_text(value)}`"
    if words.startswith("size"):
        return f"`{size_text(value)}`"
    if isinstance(value, FalsePages):
        return f"`{value.per_week:g} per week`"
    if isinstance(value, Frequency):
        return f"`{value.text}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, Mapping):
        return ", ".join(f"`{key}: {one}`" for key, one in value.items()) or "`{}`"
    if isinstance(value, tuple | list):
        return ", ".join(f"`{_entry(one)}`" for one in value) or "`[]`"
    assert not isinstance(value, SecretStr)
    return f"`{value}`" if str(value) else '`""`'


def _entry(value: Any) -> str:
    """An item of a list, by what people know it by."""
    if isinstance(value, BaseModel):
        return str(getattr(value, "use", None) or getattr(value, "watch", None))
    return str(value)


DOCUMENTS = {
    "configuration.md": configuration_document,
    "metrics.md": metrics_document,
    "exports.md": exports_document,
}
"""What is written from the code, and how."""


def main(docs: Path) -> int:
    """Bring the documents in a folder up to date; says which were not."""
    for name, renew in DOCUMENTS.items():
        path = docs / name
        old = path.read_text(encoding="utf-8")
        if (new := renew(old)) != old:
            path.write_text(new, encoding="utf-8")
            print(f"{path} is up to date again")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[1] / "docs"))
