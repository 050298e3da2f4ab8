"""A trace that continues another says so, and the other says by which it is continued."""

from pathlib import Path

import orjson
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.engine import Record
from driftline.build import build
from driftline.commands import inspect, why
from driftline.commands.replay import offline
from tests.driftline.test_pipeline import END_NS, SECOND, chat, configuration, feed


def linked(trace: int, *to: int, at_ns: int = END_NS) -> Record:
    """A chat that continues others."""
    request = ExportTraceServiceRequest.FromString(chat(trace, 1, at_ns, root=True).value)
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for other in to:
        span.links.add(trace_id=other.to_bytes(16, "big"), span_id=(1).to_bytes(8, "big"))
    return Record(request.SerializeToString(), kind="traces")


def name(trace: int) -> str:
    return f"{trace:032x}"


def test_why_tells_what_a_trace_continues_and_what_continues_it(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    service = build(offline(config, tmp_path))
    late = [linked(number, 1, at_ns=END_NS + number * 60 * SECOND) for number in (2, 3)]
    feed(service, [linked(1), *late, chat(9, 1, END_NS + 600 * SECOND, root=True)])
    assert service.view.continued_by(name(1)) == [name(3), name(2)]
    assert service.view.continued_by(name(3)) == []
    service.stop()
    path = tmp_path / "config.yaml"
    path.write_bytes(orjson.dumps({"store": {"path": str(tmp_path / "replay.db")}}))
    story = CliRunner().invoke(why.command, [name(1), "-c", str(path)]).output.splitlines()
    assert [line for line in story if "continue" in line] == [
        f"  continued by trace {name(3)}",
        f"  continued by trace {name(2)}",
    ]
    told = orjson.loads(CliRunner().invoke(why.command, [name(2), "-c", str(path), "--json"]).output)
    assert (told["links"], told.get("continued_by")) == ([name(1)], None)


def test_retention_forgets_what_continued_a_trace(tmp_path: Path) -> None:
    service = build(offline(configuration(tmp_path), tmp_path))
    feed(service, [linked(2, 1), chat(9, 1, END_NS + 60 * SECOND, root=True)])
    service.view.forget_before(END_NS + 30 * SECOND)
    assert service.view.continued_by(name(1)) == []
    service.stop()


def test_inspect_shows_links_in_both_directions_in_the_tree_and_in_json(tmp_path: Path) -> None:
    path = tmp_path / "two.pb"
    path.write_bytes(linked(1).value + linked(2, 1, 77).value)
    tree = " ".join(CliRunner().invoke(inspect.command, [str(path)]).output.split())
    assert f"continues {name(1)}" in tree
    assert f"continues {name(77)}" in tree
    assert f"continued by {name(2)}" in tree
    lines = CliRunner().invoke(inspect.command, [str(path), "--json"]).output.splitlines()
    links = {trace["trace_id"]: trace["links"] for trace in map(orjson.loads, lines)}
    assert links[name(1)] == []
    assert [link["trace_id"] for link in links[name(2)]] == [name(1), name(77)]
    assert links[name(2)][0] == {"trace_id": name(1), "span_id": f"{1:016x}", "from_span_id": f"{1:016x}"}
