"""`driftline inspect` on good, bad and mixed files."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from collector.core.engine import TRACES_KIND
from driftline.commands.inspect import command
from tests.driftline.planted import NEEDLES, SECRETS, scenarios

FOLDER = Path(__file__).parents[2] / "data" / "traces"
RAG = FOLDER / "openinference-langchain" / "rag_health.otlp.pb"
LEGACY = FOLDER / "otel-openai-v2-legacy"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_json_is_one_line_a_trace_with_the_documented_fields() -> None:
    done = run("--json", RAG)
    (trace,) = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 0
    assert set(trace) >= {
        "trace_id", "session_id", "user_id", "prompt_version", "error", "dialects", "llm_calls", "tool_executions",
        "retrievals", "embeddings", "agent_steps", "question", "answer", "contexts", "name",
    }  # fmt: skip
    assert set(trace["llm_calls"][0]) >= {
        "span_id", "start_ns", "provider", "request_model", "response_model", "response_id", "input_messages",
        "output_text", "refusal", "finish_reason", "input_tokens", "output_tokens", "cached_input_tokens",
        "reasoning_tokens", "tool_calls", "error",
    }  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_events_in_another_file_are_joined_in_either_order(turned: bool) -> None:
    files = [LEGACY / "tools_support.otlp.pb", LEGACY / "tools_support.otlp-logs.pb"]
    (trace,) = map(json.loads, run("--json", *(reversed(files) if turned else files)).stdout.splitlines())
    assert [len(call["input_messages"]) for call in trace["llm_calls"]] == [2, 5, 7]


def test_a_gzipped_file_under_any_name_is_read(tmp_path: Path) -> None:
    packed = tmp_path / "something"
    packed.write_bytes(gzip.compress(RAG.read_bytes()))
    assert run("--json", packed).stdout == run("--json", RAG).stdout


def test_a_bad_file_is_told_by_name_and_the_others_are_shown(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pb"
    bad.write_bytes(b"\xff\xffnot otlp")
    done = run("--json", bad, tmp_path / "missing.pb", RAG)
    assert done.exit_code == 3
    assert len(done.stdout.splitlines()) == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "bad.pb" in lines[0]
    assert "missing.pb: No such file" in lines[1]


def test_the_tree_tells_roles_tokens_documents_tools_and_errors() -> None:
    done = run("--full", RAG, FOLDER / "openllmetry-openai" / "tools_support.otlp.pb")
    shown = " ".join(done.stdout.split())
    for part in (
        "question:",
        "doc-para-02 · 0.912",
        "183 in",
        "81 out",
        "system:",
        "tool issue_refund",
        "PermissionError",
    ):
        assert part in shown, part


def test_markup_in_content_is_shown_as_it_is() -> None:
    assert "[doc-para-02]" in " ".join(run("--full", RAG).stdout.split())


@pytest.mark.parametrize("form", ["--json", "--full"])
def test_what_is_shown_may_be_redacted(tmp_path: Path, form: str) -> None:
    ((kind, body),) = next(scenario for scenario in scenarios() if len(scenario) == 1)
    assert kind == TRACES_KIND
    (tmp_path / "planted.pb").write_bytes(body)
    plain, redacted = run(form, tmp_path / "planted.pb"), run(form, "--redact", tmp_path / "planted.pb")
    kept = {SECRETS["employee"], SECRETS["name"], "Zweistein"}  # of the user's own rules, which are not asked for here
    assert {needle for needle in NEEDLES if needle in redacted.stdout} <= kept
    assert len({needle for needle in NEEDLES if needle in plain.stdout}) > 5
    assert "[EMAIL]" in redacted.stdout


def test_no_file_is_wrong_usage() -> None:
    assert run("--json").exit_code == 2


STRANGE = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "scope": {"name": "new.lib"},
                    "spans": [
                        {
                            "traceId": "0" * 31 + "1",
                            "spanId": "0" * 15 + "1",
                            "name": "x",
                            "attributes": [
                                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                {"key": "gen_ai.turns.0.text", "value": {"stringValue": "a secret \u001b[2J"}},
                            ],
                        }
                    ],
                }
            ]
        }
    ]
}


def test_what_is_not_understood_is_shown_without_content_unless_it_is_asked_for(tmp_path: Path) -> None:
    strange = tmp_path / "strange.json"
    strange.write_text(json.dumps(STRANGE))
    plain, full = run("--unmapped", strange).stdout, run("--unmapped", "--full", strange).stdout
    assert "gen_ai.turns.N.text" in plain
    assert "characters" in plain
    assert "secret" not in plain
    assert "secret" in full
    assert "\u001b" not in full
    (line,) = map(json.loads, run("--unmapped", "--json", strange).stdout.splitlines())
    assert line == {
        "dialect": "otel-genai", "where": "span", "key": "gen_ai.turns.N.text", "note": None, "scopes": ["new.lib"],
        "spans": 1, "types": ["string"], "smallest": 13, "largest": 13,
    }  # fmt: skip


def test_nothing_unmapped_is_said_too() -> None:
    assert "nothing: every attribute" in " ".join(run("--unmapped", RAG).stdout.split())
