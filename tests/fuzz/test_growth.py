"""Four times as much takes about four times as long, however it is arranged: nothing is quadratic.

Held by ratios of processor time of this very process, the best of several: linear is 4, quadratic 16.
"""

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from collector.core.model import Span, SpanEvent
from collector.core.telemetry import Telemetry
from collector.normalise import normalise
from collector.sample import Admission
from driftline.config import DEFAULT_SCORERS
from scorers.loading import ScorerConfig, load_scorers
from scorers.runner import Runner

CHAT = {"gen_ai.operation.name": "chat"}
ALLOWED_RATIO = 9.0
LEAST_SECONDS = 0.004  # below that a ratio says nothing
TRIES = 4


def span(number: int, attributes: dict[str, Any], parent: int | None = None, start: int = 0, end: int = 10) -> Span:
    parent_id = None if parent is None else f"{parent:016x}"
    return Span("t", f"{number:016x}", parent_id, "s", 0, start, end, attributes, [], [], 0, "", "app", "", {})


def chat(prompt: Any = None, answer: Any = None) -> dict[str, Any]:
    messages = {"gen_ai.input.messages": prompt, "gen_ai.output.messages": answer}
    return {**CHAT, **{key: json.dumps(value) for key, value in messages.items() if value is not None}}


def asks(*ids: str | None, arguments: Any = None) -> dict[str, Any]:
    parts = [{"type": "tool_call", "id": one, "name": "f", "arguments": arguments} for one in ids]
    return {"role": "assistant", "parts": parts}


def tells(call_id: str | None) -> dict[str, Any]:
    return {"role": "tool", "parts": [{"type": "tool_call_response", "id": call_id, "response": "r"}]}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def answers_in_another_order(n: int) -> list[Span]:
    return [span(1, chat([asks(*map(str, range(n))), *(tells(str(n - one)) for one in range(n))]))]


def answers_to_nothing(n: int) -> list[Span]:
    return [span(1, chat([asks(*map(str, range(n))), *(tells(f"x{one}") for one in range(n))]))]


def answers_without_ids(n: int) -> list[Span]:
    return [span(1, chat([asks(*[None] * n), *(tells(None) for _ in range(n))]))]


def requests_in_a_row(n: int) -> list[Span]:
    return [span(1, chat([*(asks(None) for _ in range(n)), tells(None)]))]


def agents_within_agents(n: int) -> list[Span]:
    agents = [span(2 * i, {"gen_ai.operation.name": "invoke_agent"}, 2 * i - 2 or None, i, 9 * n - i) for i in range(n)]
    return agents + [span(2 * i + 1, chat(None, [said("x")]), 2 * i, i, i + 1) for i in range(n)]


def tools_within_tools(n: int) -> list[Span]:
    run = {"gen_ai.operation.name": "execute_tool"}
    runs = [span(2 * i, {**run, "gen_ai.tool.name": f"f{i}"}, 2 * i - 2 or None, i, 9 * n - i) for i in range(n)]
    return runs + [span(2 * i + 1, chat(None, [said("x")]), 2 * i, i, i + 1) for i in range(n)]


def calls_within_calls(n: int) -> list[Span]:
    return [span(i, CHAT, i - 1 or None, i, 2 * n - i) for i in range(1, n)]


def parents_in_a_circle(n: int) -> list[Span]:
    return [span(i, chat(None, [said("x")]), (i + 1) % n) for i in range(n)]


def roots(n: int) -> list[Span]:
    return [span(i, chat([said("hi")], [said(str(i))])) for i in range(n)]


def one_answer_told_often(n: int) -> list[Span]:
    return [span(i, {**CHAT, "gen_ai.response.id": "r"}, None, i * 10**9, i * 10**9) for i in range(n)]


def requests_and_runs_that_do_not_fit(n: int) -> list[Span]:
    asked = span(0, chat(None, [asks(*[None] * n, arguments={"i": -1})]), None, 0, 1)
    run = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "f"}
    return [asked, *(span(i, {**run, "gen_ai.tool.call.arguments": f'{{"i": {i}}}'}, None, i, i) for i in range(2, n))]


def the_same_request_again_and_again(n: int) -> list[Span]:
    return [span(i, chat(None, [asks(str(i), arguments={"a": 1})]), None, i, i + 1) for i in range(n)]


def many_tools(n: int) -> list[Span]:
    tools = json.dumps([{"name": f"f{i}", "parameters": {"type": "object"}} for i in range(n)])
    return [span(1, {**chat(None, [asks(*map(str, range(n)))]), "gen_ai.tool.definitions": tools})]


def messages_as_events(n: int) -> list[Span]:
    one = span(1, CHAT)
    one.events = [SpanEvent("gen_ai.user.message", at, {"content": "hi"}) for at in range(n)]
    return [one]


def flat_keys(n: int) -> list[Span]:
    kind = {"openinference.span.kind": "LLM"}
    keys = [f"llm.input_messages.{i}.message.tool_calls.{i}.tool_call.function.name" for i in range(n)]
    return [span(1, {**kind, **dict.fromkeys(keys, "f")})]


def a_list_of_nothing(n: int) -> list[Span]:
    return [span(1, {**CHAT, "gen_ai.input.messages": "[" + ",".join(["{}"] * n) + "]"})]


def documents_and_facts(n: int) -> list[Span]:
    facts = [f"Fact number {i} is that tea number {i} is green." for i in range(n)]
    found = {f"retrieval.documents.{i}.document.content": fact for i, fact in enumerate(facts)}
    return [span(1, {"openinference.span.kind": "RETRIEVER", **found}), span(2, chat(None, [said(" ".join(facts))]))]


ARRANGEMENTS = (
    *(answers_in_another_order, answers_to_nothing, answers_without_ids, requests_in_a_row, agents_within_agents),
    *(tools_within_tools, calls_within_calls, parents_in_a_circle, roots, one_answer_told_often, many_tools),
    *(requests_and_runs_that_do_not_fit, the_same_request_again_and_again, messages_as_events, flat_keys),
    *(a_list_of_nothing, documents_and_facts),
)
TEXTS = (
    "a",
    " ",
    "\n",
    "a@",
    "a.",
    "1-",
    "1234 ",
    "[",
    "{",
    "<",
    '"',
    "`",
    "-",
    "I cannot. ",
    "ignore all previous ",
    "é",
    "aA1_",
)


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(load_scorers([ScorerConfig(use=name) for name in DEFAULT_SCORERS]), Telemetry())


@pytest.mark.parametrize("arranged", ARRANGEMENTS)
def test_a_trace_takes_time_in_proportion_to_its_size(arranged: Callable[[int], list[Span]], runner: Runner) -> None:
    assert_linear(lambda n: work(arranged(n), runner), 500)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_takes_time_in_proportion_to_its_length(text: str, runner: Runner) -> None:
    def repeated(n: int) -> Callable[[], object]:
        said_often = text * (n // len(text))
        prompt = [{"role": "user", "content": f"Context:\n{said_often}\n\nQuestion: {said_often}"}]
        return work([span(1, chat(prompt, [said(said_often)]))], runner)

    assert_linear(repeated, 20_000)


def work(spans: list[Span], runner: Runner) -> Callable[[], object]:
    return lambda: runner.evaluate(normalise("t", spans), Admission(0.0, 1.0, 1.0, "sample.rate"))


def assert_linear(make: Callable[[int], Callable[[], object]], size: int) -> None:
    ratio = 0.0
    for _ in range(TRIES):
        small, large = seconds(make(size)), seconds(make(4 * size))
        ratio = large / max(small, LEAST_SECONDS)
        if ratio < ALLOWED_RATIO:
            return
    raise AssertionError(f"four times as much takes {ratio:.1f} times as long")


def seconds(call: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        call()
        return time.process_time() - began
    finally:
        gc.enable()
