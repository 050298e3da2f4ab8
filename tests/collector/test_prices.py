"""Costs: exported ones stay, others come from a table, and what nobody knows has none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.errors import UserError
from collector.core.model import Embedding, LLMCall, Trace
from collector.prices import Prices, PricesConfig, PriceTable, built_in, load_prices
from driftline.recording import Recording

FOLDER = Path(__file__).parents[1] / "data" / "traces"
LIST = Prices([built_in()])


def cost(call: LLMCall, prices: Prices = LIST) -> tuple[float | None, str | None]:
    prices.complete(Trace("t", llm_calls=[call]))
    return call.cost_usd, call.cost_source


def chat(**facts: object) -> LLMCall:
    told: dict[str, object] = {
        "provider": "openai",
        "response_model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 100,
    }
    return LLMCall("s", **{**told, **facts})  # type: ignore[arg-type]


def table(*models: dict[str, object], provider: str = "*") -> Prices:
    return Prices([PriceTable.model_validate({"version": 1, "prices": [{"provider": provider, "models": models}]})])


def test_a_call_costs_its_tokens_times_the_list_price() -> None:
    assert cost(chat()) == (pytest.approx(0.0035), "computed")


def test_cached_tokens_have_their_own_price_and_are_part_of_the_input() -> None:
    assert cost(chat(cached_input_tokens=400))[0] == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)
    claude = {"provider": "anthropic", "response_model": "claude-sonnet-4-5-20250929"}
    told = cost(chat(**claude, cached_input_tokens=400, cache_write_input_tokens=100))[0]
    assert told == pytest.approx((500 * 3 + 400 * 0.3 + 100 * 3.75 + 100 * 15) / 1e6)


def test_cached_tokens_beyond_the_input_were_not_part_of_it() -> None:
    assert cost(chat(cached_input_tokens=4000))[0] == pytest.approx((1000 * 2.5 + 4000 * 1.25 + 100 * 10) / 1e6)


def test_reasoning_tokens_may_have_a_price_of_their_own() -> None:
    model = {"model": ["m"], "input": 1, "output": 2}
    call = {"provider": None, "response_model": "m", "reasoning_tokens": 60}
    assert cost(chat(**call), table(model))[0] == pytest.approx(0.0012)
    assert cost(chat(**call), table({**model, "reasoning": 5}))[0] == pytest.approx((1000 + 40 * 2 + 60 * 5) / 1e6)


@pytest.mark.parametrize(
    "facts",
    [
        {"response_model": "gpt-4o-audio-preview"},
        {"response_model": "llama3"},
        {"response_model": None},
        {"provider": "ollama"},
        {"input_tokens": None},
        {"output_tokens": None},
        {"response_model": "x" * 100_000},
    ],
)
def test_what_is_not_known_has_no_cost_rather_than_none_at_all(facts: dict[str, object]) -> None:
    assert cost(chat(**facts)) == (None, None)


def test_an_exported_cost_stays_also_if_it_is_zero() -> None:
    assert cost(chat(cost_usd=0.0, cost_source="exported")) == (0.0, "exported")


def test_models_are_found_under_the_spellings_of_libraries() -> None:
    for facts in (
        {"provider": "OpenAI"},
        {"provider": "openai.chat"},
        {"provider": None},
        {"response_model": None, "request_model": "GPT-4o"},
        {"response_model": "openai/gpt-4o"},
        {"response_model": "gpt-4o-unheard-of", "request_model": "gpt-4o"},
    ):
        assert cost(chat(**facts))[0] == pytest.approx(0.0035), facts


def test_a_full_name_goes_before_patterns_and_a_table_of_ones_own_before_the_built_in_one(tmp_path: Path) -> None:
    own = tmp_path / "prices.json"
    rows = [
        {"model": ["gpt*"], "input": 1, "output": 0},
        {"model": ["gpt-4o*"], "input": 2, "output": 0},
        {"model": ["gpt-4o"], "input": 3, "output": 0},
    ]
    own.write_text(json.dumps({"version": 1, "prices": [{"models": rows}]}))
    prices = load_prices(PricesConfig(file=Path("prices.json")), tmp_path)
    named = ["gpt-4o", "gpt-4o-x", "gpt-3"]
    assert [cost(chat(response_model=name, output_tokens=0), prices)[0] for name in named] == [0.003, 0.002, 0.001]
    assert cost(chat(response_model="o3"), prices)[0] == pytest.approx(0.0028)
    assert cost(chat(response_model="o3"), load_prices(PricesConfig(file=own, built_in=False))) == (None, None)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("version: 2\nprices: []", "version: Input should be 1"),
        ("version: 1\nprices: [{models: [{model: [m], input: -1}]}]", "prices.0.models.0.input"),
        ("version: 1\nprices: [{models: [{model: [m], input: 1, cashed: 2}]}]", "cashed"),
        ("version: [", "is not YAML"),
        ("7", "valid dictionary"),
    ],
)
def test_a_wrong_table_is_told_with_the_place_that_is_wrong(content: str, problem: str, tmp_path: Path) -> None:
    wrong = tmp_path / "prices.yaml"
    wrong.write_text(content)
    with pytest.raises(UserError, match=r"prices\.yaml") as error:
        load_prices(PricesConfig(file=wrong))
    assert problem in str(error.value)


def test_a_table_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match=r"prices.file: .*nowhere.yaml cannot be read: No such file"):
        load_prices(PricesConfig(file=Path("/nowhere.yaml")))


def test_embeddings_cost_too() -> None:
    trace = Trace("t", embeddings=[Embedding("s", model="text-embedding-3-small", input_tokens=1_000_000)])
    LIST.complete(trace)
    assert trace.cost_usd == pytest.approx(0.02)


def test_a_trace_costs_what_is_known_of_it() -> None:
    trace = Trace("t", llm_calls=[chat(), chat(response_model="llama3")])
    assert trace.cost_usd is None
    LIST.complete(trace)
    assert trace.cost_usd == pytest.approx(0.0035)


def test_the_list_gives_the_costs_that_libraries_exported_in_every_recording() -> None:
    compared = 0
    for path in sorted(FOLDER.glob("*/*.otlp*")):
        if path.suffix not in (".pb", ".json"):
            continue
        recording = Recording(prices=Prices([]))
        recording.add(path.read_bytes(), path.name)
        for call in (call for trace in recording.traces() for call in trace.llm_calls):
            if call.cost_usd and path.parent.name != "langfuse":  # where the application made the cost up
                assert cost(replace(call, cost_usd=None))[0] == pytest.approx(call.cost_usd), path
                compared += 1
    assert compared > 5


@given(
    st.builds(
        LLMCall,
        st.just("s"),
        provider=st.none() | st.text() | st.sampled_from(["openai", "["]),
        request_model=st.none() | st.text() | st.sampled_from(["gpt-4o", "[!"]),
        input_tokens=st.none() | st.integers(0, 2**63),
        output_tokens=st.none() | st.integers(0, 2**63),
        cached_input_tokens=st.none() | st.integers(0, 2**63),
        reasoning_tokens=st.none() | st.integers(0, 2**63),
    )
)
def test_a_cost_is_never_negative_and_never_without_tokens(call: LLMCall) -> None:
    told, source = cost(call)
    assert (told is None) == (source is None)
    assert told is None or (told >= 0 and call.input_tokens is not None and call.output_tokens is not None)
