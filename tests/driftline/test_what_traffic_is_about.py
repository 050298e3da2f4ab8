"""From spans to a change that says which words grew: the scorer `embedding` and its monitor, in the whole service."""

from pathlib import Path
from random import Random
from typing import Any

import orjson

from tests.driftline.conftest import Run

USUAL = (
    "where is parcel {} of my order",
    "track the delivery {} please, courier is late",
    "change the shipping address of order {}",
    "which size of jacket {} fits me",
    "does jacket {} come in blue or black",
    "my password for account {} does not work",
    "how can I reset the login of account {}",
    "invoice {} shows the wrong company name",
)
NEW = "the christmas voucher {} is refused at checkout, jane.doe@example.com"
CONFIG = """
scorers: [{use: embedding, name: questions}]
monitors: [{watch: questions, by: [service], warmup: 200, clusters: 8}]
false_pages: 1 per week
assemble: {quiet: 1s, max_age: 10s}
"""
BEFORE, AFTER = 700, 200


def _span(number: int, question: str) -> dict[str, Any]:
    start = 1_750_000_000_000_000_000 + number * 60_000_000_000
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": _messages("user", question),
        "gen_ai.output.messages": _messages("assistant", "I will look into that."),
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in said.items()]
    return {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "chat gpt-4o",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 800_000_000),
        "attributes": attributes,
    }


def _messages(role: str, text: str) -> str:
    return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()


def _recording(path: Path) -> Path:
    rng = Random(3)
    lines = []
    for number in range(BEFORE + AFTER):
        fresh = number >= BEFORE and rng.random() < 0.2
        question = (NEW if fresh else rng.choice(USUAL)).format(rng.randrange(10_000))
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
        spans = [{"resource": resource, "scopeSpans": [{"scope": {"name": "t"}, "spans": [_span(number, question)]}]}]
        lines.append(orjson.dumps({"resourceSpans": spans}))
    path.write_bytes(b"\n".join(lines))
    return path


def test_a_new_topic_is_a_page_with_its_words_and_traces(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(CONFIG)
    done = run("replay", "-c", config, "--json", _recording(tmp_path / "traffic.jsonl"))
    assert done.code == 0, done.err
    changes = [change for change in done.json["changes"] if change["paged"]]
    assert changes
    change = changes[0]
    assert change["monitor"] == change["metric"] == "questions"
    assert change["statistic"] == "share"
    assert change["direction"] == "up"
    words = {one["value"] for one in change["carriers"] if one["attribute"] == "term"}
    assert words
    assert words <= {"christmas", "voucher", "refused", "checkout"}
    assert all(int(trace, 16) > BEFORE for trace in change["typical_traces"])
    assert "jane" not in done.out


def test_check_says_what_is_watched(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(CONFIG)
    done = run("check", "-c", config)
    assert done.code == 0, done.err
    assert "share of 8 clusters of questions by service" in done.out


def test_a_statistic_that_vectors_do_not_have_is_told_with_its_path(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(CONFIG.replace("warmup: 200", "statistic: mean"))
    done = run("check", "-c", config)
    assert done.code != 0
    assert "monitors[0].statistic: 'mean', but 'questions' tells vectors" in done.err
