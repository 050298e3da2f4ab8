"""One call that several traces tell belongs to one of them, whatever comes first and whenever it restarts."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from collector.answers import Answers, settle_all
from collector.core.model import LLMCall, Message, Trace

S = 1_000_000_000
HOUR = 3600 * S


def trace(name: str, spans: int = 1, content: bool = True, answer: str = "r1", at: int = 0, **facts: object) -> Trace:
    said = [Message("user", "hi")] if content else []
    call = LLMCall(name, at * S, (at + 2) * S, response_id=answer, input_messages=said, **facts)  # type: ignore[arg-type]
    return Trace(name, llm_calls=[call], span_count=spans)


def kept(*traces: Trace) -> list[str]:
    return [one.trace_id for one in traces if one.llm_calls]


def evaluated(answers: Answers, told: Sequence[Trace]) -> dict[str, Trace]:
    """The last evaluation of each, with those that are evaluated again."""
    last: dict[str, Trace] = {}
    waiting = [one.trace_id for one in told]
    fresh = {one.trace_id: one for one in told}
    for number, name in enumerate(waiting):
        again = [name]
        while again:
            for one in again:
                last[one] = replace(fresh[one], llm_calls=[replace(call) for call in fresh[one].llm_calls], repeats=[])
                answers.now_ns = max(answers.now_ns, number * S)
                answers.settle(last[one])
            again = answers.take_again()
    return last


def test_the_account_with_content_keeps_the_call_with_the_exact_tokens_of_the_other_in_either_order() -> None:
    told = [trace("app", 3, output_tokens=84), trace("sdk", content=False, output_tokens=83, finish_reason="stop")]
    for order in (told, told[::-1]):
        found = evaluated(Answers(HOUR), order)
        assert found["sdk"].llm_calls == []
        assert [(one.span_id, one.trace_id) for one in found["sdk"].repeats] == [("sdk", "app")]
        (call,) = found["app"].llm_calls
        assert (call.output_tokens, call.finish_reason) == (83, "stop")


def test_of_two_with_content_the_trace_with_more_spans_keeps_it_in_either_order() -> None:
    told = [trace("app", 9), trace("gateway", 1)]
    for order in (told, told[::-1]):
        assert kept(*evaluated(Answers(HOUR), order).values()) == ["app"]


def test_of_equals_the_first_keeps_it() -> None:
    assert kept(*evaluated(Answers(HOUR), [trace("a"), trace("b"), trace("c")]).values()) == ["a"]


def test_the_one_that_takes_over_says_that_it_was_counted_and_the_other_is_evaluated_again() -> None:
    answers = Answers(HOUR)
    gateway, app = trace("gateway"), trace("app", 9)
    answers.settle(gateway)
    assert answers.take_again() == []
    answers.settle(app)
    assert (gateway.llm_calls[0].repeated, app.llm_calls[0].repeated) == (False, True)
    assert answers.take_again() == ["gateway"]
    answers.settle(gateway)
    assert gateway.llm_calls == []
    assert answers.take_again() == []


def test_one_id_at_another_time_is_another_call() -> None:
    """A cache gives an answer again; some servers have only a thousand ids."""
    found = evaluated(Answers(HOUR), [trace("a", at=0), trace("b", at=60), trace("c", at=120)])
    assert kept(*found.values()) == ["a", "b", "c"]


def test_another_id_and_none_at_all_are_other_calls() -> None:
    nameless = trace("b")
    nameless.llm_calls[0].response_id = None
    assert kept(*evaluated(Answers(HOUR), [trace("a"), nameless, trace("c", answer="r2")]).values()) == ["a", "b", "c"]


def test_a_revision_of_a_trace_keeps_its_own_call() -> None:
    answers = Answers(HOUR)
    for spans in (1, 2, 3):
        again = trace("a", spans)
        answers.settle(again)
        assert kept(again) == ["a"]
        assert not again.llm_calls[0].repeated


def test_what_is_older_than_the_window_is_forgotten() -> None:
    answers = Answers(10 * S)
    answers.settle(trace("a"))
    answers.now_ns = 10 * S
    later = trace("b")
    answers.settle(later)
    assert kept(later) == ["b"]


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    answers = Answers(HOUR, limit=2)
    for name in ("r1", "r2", "r3"):
        answers.settle(trace(name, answer=name))
    again = [trace("x", answer=name) for name in ("r3", "r2")]
    for one in again:
        answers.settle(one)
    assert kept(*again) == []
    first = trace("x", answer="r1")
    answers.settle(first)
    assert kept(first) == ["x"]


def test_ids_of_any_length_are_told_apart_in_bounded_memory() -> None:
    answers = Answers(HOUR)
    long = "x" * 1_000_000
    answers.settle(trace("a", answer=long + "1"))
    same, other = trace("b", answer=long + "1"), trace("c", answer=long + "2")
    answers.settle(same)
    answers.settle(other)
    assert kept(same, other) == ["c"]
    assert len(answers.take_changed() or b"") < 1000


def test_recorded_traces_are_settled_all_at_once() -> None:
    told = [trace("sdk", content=False, output_tokens=83), trace("app", 3, output_tokens=84), trace("gateway", 1)]
    settle_all(told)
    assert kept(*told) == ["app"]
    assert told[1].llm_calls[0].output_tokens == 83


TOLD = st.builds(
    trace,
    st.sampled_from("abcde"),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from(["r1", "r2"]),
    st.integers(0, 5),
    output_tokens=st.none() | st.integers(1, 3),
)


@given(st.lists(TOLD, max_size=12, unique_by=lambda one: one.trace_id), st.integers(0, 12), st.integers(1, 3))
def test_a_restart_anywhere_changes_nothing_and_there_is_an_end(told: list[Trace], stop: int, limit: int) -> None:
    def copy() -> list[Trace]:
        return [replace(one, llm_calls=[replace(call) for call in one.llm_calls]) for one in told]

    undisturbed = evaluated(Answers(5 * S, limit), copy())
    before = Answers(5 * S, limit)
    first = copy()
    answers, saved = before, []
    last: dict[str, Trace] = {}
    for number, one in enumerate(first):
        if number == stop:
            answers = Answers(5 * S, limit)
            for row in saved:
                answers.restore(row)
        again = [one.trace_id]
        fresh = {each.trace_id: each for each in first}
        while again:
            for name in again:
                last[name] = replace(
                    fresh[name], llm_calls=[replace(call) for call in fresh[name].llm_calls], repeats=[]
                )
                answers.now_ns = max(answers.now_ns, number * S)
                answers.settle(last[name])
            again = answers.take_again()
        if (row := answers.take_changed()) is not None:
            saved.append(row)
    assert last == undisturbed


def test_calls_of_two_tenants_never_meet_whatever_they_say_of_themselves() -> None:
    one, two, more = trace("0a" * 16), trace("0a" * 16), trace("0b" * 16, content=False)
    one.tenant, two.tenant, more.tenant = "acme", "globex", "acme"
    answers = Answers(HOUR)
    for each in (one, two, more):
        answers.settle(each)
    assert [len(each.llm_calls) for each in (one, two, more)] == [1, 1, 0]
    assert [repeat.trace_id for repeat in more.repeats] == [one.trace_id]
    assert {bytes.fromhex(again)[16:] for again in answers.take_again()} <= {b"acme"}
