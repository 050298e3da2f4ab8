"""Make the sample that `driftline demo` plays, from a folder of recordings.

    python benchmarks/make_sample.py RECORDINGS [--out driftline/demo/sample]

RECORDINGS holds one folder per dialect, with the bodies of OTLP requests as an exporter sent them (`NAME.otlp.pb` or
`NAME.01.otlp.pb`, `NAME.02.otlp.pb`, ... for traces, `NAME.otlp-logs.pb` for logs) and `NAME.expected.json` with the
facts of the scenario: its language model calls, session, user and prompt version.

For each dialect one `DIALECT.tar.gz` is written: the chosen bodies untouched, and a `NAME.json` beside them that says
which texts in them a player may replace. The same recordings give the same bytes.
"""

import io
import re
import tarfile
import zlib
from gzip import GzipFile
from pathlib import Path
from typing import Any

import click
import orjson
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# What to ship: dialects that carry content in attributes, in log events, or flattened; retrieval, conversations, tools,
# agents, structured answers, refusals, failures, streams, images and five languages, each by more than one library.
CHOSEN: dict[str, tuple[str, ...]] = {
    "openinference-anthropic": ("anthropic_chat", "anthropic_long_cached"),
    "openinference-langchain": (
        "rag_health",
        "rag_travel_stream",
        "rag_vectorstore_erc",
        "agent_support_split",
        "chat_finance",
        "error_429",
        "refusal",
        "structured_invoice",
    ),
    "openinference-llama-index": ("rag_health", "rag_legal_de", "rag_travel_stream", "agent_support"),
    "openinference-openai": ("chat_support", "multiturn_de", "refusal_field", "responses_reasoning", "responses_tools"),
    "openinference-openai-agents": ("agents_lab_stream", "agents_support", "agents_error_500"),
    "openinference-smolagents": ("agent_lab_loop_maxsteps",),
    "openllmetry-langchain": ("rag_health", "rag_travel_stream", "structured_invoice", "error_429"),
    "openllmetry-openai": (
        "rag_decorated_erc",
        "tools_support",
        "anthropic_chat",
        "chat_support",
        "chat_long",
        "refusal",
        "embeddings",
        "structured_invoice",
    ),
    "openllmetry-v0.40-langchain": ("rag_health", "chat_finance"),
    "openllmetry-v0.40-openai": ("rag_decorated_erc", "chat_support", "multiturn_de", "stream_finance"),
    "otel-genai-langchain": (
        "rag_health",
        "rag_vectorstore_erc",
        "agent_support",
        "multiturn_es",
        "structured_invoice",
    ),
    "otel-genai-openai": (
        "rag_manual_health",
        "chat_support",
        "tools_travel",
        "tools_stream",
        "error_429",
        "error_500",
        "image_meter",
        "refusal",
        "structured_invoice",
        "responses_stream",
    ),
    "otel-openai-v2-eventonly": ("chat_support", "tools_travel"),
    "otel-openai-v2-latest": ("rag_manual_health", "multiturn_ja", "structured_class", "finish_length"),
    "otel-openai-v2-legacy": ("chat_support", "tools_support", "error_429", "refusal_field", "stream_finance"),
}
LIMIT_BYTES = 400_000

# Ids that the provider made: one answer has one id, so a player must not repeat them.
_PROVIDER_ID = re.compile(r"(?:chatcmpl-|resp_|msg_|rs_|fc_|call_)[0-9a-f]{12,}\b")


@click.command()
@click.argument("recordings", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("driftline/demo/sample"), show_default=True)
def main(recordings: Path, out: Path) -> None:
    """Write the sample of RECORDINGS to --out."""
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    for dialect, names in CHOSEN.items():
        content = archive(recordings / dialect, names)
        (out / f"{dialect}.tar.gz").write_bytes(content)
        total += len(content)
        click.echo(f"{dialect:32} {len(names):3} recordings {len(content):8} bytes")
    click.echo(f"{'in all':32} {sum(map(len, CHOSEN.values())):3} recordings {total:8} bytes")
    if total > LIMIT_BYTES:
        raise click.ClickException(f"the sample is {total} bytes; it must stay under {LIMIT_BYTES}")


def archive(folder: Path, names: tuple[str, ...]) -> bytes:
    """A gzipped tar of the bodies of these recordings and their facts."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            bodies = {path.name: path.read_bytes() for path in bodies_of(folder, name)}
            expected = orjson.loads((folder / f"{name}.expected.json").read_bytes())
            add(tar, f"{name}.json", orjson.dumps(facts(expected, bodies), option=orjson.OPT_INDENT_2))
            for file_name, body in bodies.items():
                add(tar, file_name, body)
    packed = io.BytesIO()
    with GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=zlib.Z_BEST_COMPRESSION, mtime=0) as file:
        file.write(plain.getvalue())
    return packed.getvalue()


def bodies_of(folder: Path, name: str) -> list[Path]:
    """The files of a recording, in the order in which its requests arrived."""
    pattern = re.compile(rf"{re.escape(name)}(\.\d\d)?\.otlp(-logs)?\.pb")
    found = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if not found:
        raise click.ClickException(f"{folder} has no recording {name}")
    return found


def facts(expected: dict[str, Any], bodies: dict[str, bytes]) -> dict[str, Any]:
    """What a player may replace, and what kind of recording this is."""
    calls = expected["llm_calls"]
    ids = {found for name, body in bodies.items() for found in _PROVIDER_ID.findall(as_text(name, body))}
    return {
        "answer": calls[-1].get("output_text") if calls else None,
        "provider_ids": sorted(ids),
        "session_id": expected.get("session_id"),
        "user_id": expected.get("user_id"),
        "prompt_version": expected.get("prompt_version"),
        "model_calls": len(calls),
        "failed": bool(expected["any_llm_error"]),
    }


def as_text(name: str, body: bytes) -> str:
    """All strings of a body, readable: in the bytes themselves a string runs into the tag of the next field."""
    kind = ExportLogsServiceRequest if ".otlp-logs." in name else ExportTraceServiceRequest
    text: str = MessageToJson(kind.FromString(body))
    return text


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
