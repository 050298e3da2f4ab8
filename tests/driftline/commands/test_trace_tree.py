"""The tree: whole on any width, without what repeats, and safe on a terminal."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from collector.core.model import (
    Document,
    Embedding,
    Failure,
    LLMCall,
    Media,
    Message,
    Repeat,
    RequestedCall,
    Retrieval,
    ToolCall,
    Trace,
)
from driftline.commands.trace_tree import print_trace

FOLDER = Path(__file__).parents[2] / "data" / "traces"
S = 1_000_000_000


def shown(trace: Trace, full: bool = False, width: int = 100) -> str:
    out = io.StringIO()
    print_trace([trace], full, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def call(name: str, start: int, *said: str, **facts: object) -> LLMCall:
    messages = [Message("user", text) for text in said]
    return LLMCall(name, start * S, (start + 2) * S, input_messages=messages, **facts)  # type: ignore[arg-type]


def test_a_model_call_tells_times_tokens_cost_and_where_the_cost_is_from() -> None:
    facts = {
        "provider": "openai", "response_model": "gpt-4o", "input_tokens": 1200, "output_tokens": 80,
        "first_token_seconds": 0.25,
        "cached_input_tokens": 1000, "cache_write_input_tokens": 50, "reasoning_tokens": 30, "finish_reason": "stop",
        "cost_usd": 0.0025, "cost_source": "computed",
    }  # fmt: skip
    told = shown(Trace("t", 0, 5 * S, llm_calls=[call("a", 1, "hi", **facts)]), width=300)
    assert (
        "llm gpt-4o  at 1.000 s · 2.000 s · first token after 0.250 s · "
        "1,200 in (1,000 cached, 50 written to the cache) · 80 out (30 reasoning) · $0.0025 list price · stop · openai"
    ) in told
    assert "1,200 tokens in, 80 out · $0.0025" in told
    exported = call("a", 0, "hi", cost_usd=0.5, cost_source="exported")
    assert "$0.5 exported" in shown(Trace("t", llm_calls=[exported]))


def test_what_nobody_knows_is_not_shown_as_zero() -> None:
    told = shown(Trace("t", llm_calls=[call("a", 0, "hi")]))
    assert "$" not in told
    assert "tokens" not in told
    assert " in ·" not in told


def test_messages_that_the_call_before_had_are_counted_and_full_shows_them() -> None:
    trace = Trace("t", llm_calls=[call("a", 0, "one", "two"), call("b", 1, "one", "two", "three")])
    told = shown(trace)
    assert told.count("user: one") == 1
    assert "… 2 messages as in the call before" in told
    assert "user: three" in told
    assert shown(trace, full=True).count("user: one") == 2


def test_long_texts_are_folded_to_the_width_and_full_shows_them_whole() -> None:
    trace = Trace("t", llm_calls=[call("a", 0, "x" * 5000)])
    assert "(5,000 characters)" in " ".join(shown(trace).split())
    assert shown(trace).count("x") < shown(trace, width=200).count("x") < 500
    assert shown(trace, full=True).count("x") == 5000


def test_tools_documents_media_errors_and_repeats_are_told() -> None:
    trace = Trace(
        "t",
        llm_calls=[
            LLMCall(
                "a",
                input_messages=[Message("user", None, media=[Media("image", "image/png", None, 2048)])],
                tool_calls=[RequestedCall("find", {"q": 1})],
                tool_definitions=[{"name": "find"}, {"name": "buy"}],
                error=Failure("RateLimitError", "slow down"),
            )
        ],
        tool_executions=[ToolCall(None, name="find", arguments={"q": 1}, result=[1, 2])],
        retrievals=[Retrieval("r", query="tea", documents=[Document("green", "d1", 0.5), Document(None, "d2")])],
        embeddings=[Embedding("e", model="m", input_tokens=7)],
        repeats=[Repeat("s", "other")],
        incomplete=True,
    )
    told = shown(trace)
    for part in (
        "user image: image/png · 2,048 bytes", "→ calls: find({\"q\":1})", "may call: find, buy", "result: [1,2]",
        "error RateLimitError: slow down", "no span: known from the next prompt", "query: tea", "d1 · 0.5: green",
        "d2 · no score: (no text)", "embedding m", "7 tokens", "trace other tells it", "incomplete",
    ):  # fmt: skip
        assert part in told, part


@pytest.mark.parametrize("full", [False, True])
def test_content_can_neither_command_the_terminal_nor_the_markup(full: bool) -> None:
    evil = "\x1b]0;owned\x07 [bold]no[/bold] \x9b2J \u202e"
    trace = Trace(
        evil, name=evil, session_id=evil, question=evil, answer=evil, llm_calls=[call(evil, 0, evil, provider=evil)],
        tool_executions=[ToolCall("x", name=evil, arguments=evil, result=evil, error=Failure(evil, evil))],
    )  # fmt: skip
    told = shown(trace, full)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told)
    assert "[bold]no[/bold]" in told


def test_there_is_no_colour_where_there_is_no_terminal() -> None:
    file = FOLDER / "openinference-langchain" / "rag_health.otlp.pb"
    command = [sys.executable, "-m", "driftline", "inspect", str(file)]
    environ = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    out = subprocess.run(command, capture_output=True, check=True, env=environ).stdout
    assert b"\x1b" not in out
    assert "├──".encode() in out
