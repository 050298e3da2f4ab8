"""Sampling never biases a number: estimates weigh by one over the recorded probability, under all policies at once.

Rates, a keep rule for errors, a quota by service, a scorer's rate, salt and limit, and an application that samples too;
all of them hit classes of traces whose scores differ.
"""

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from collector.allowance import parse_limit
from collector.core.model import LLMCall, Trace
from collector.core.telemetry import Telemetry
from collector.quota import Allowances, within_quota
from collector.sample import SampleConfig, Sampler
from scorers.base import scorer
from scorers.ledger import Decision
from scorers.runner import Runner

SECOND = 10**9
START = 1_760_054_400 * SECOND
RUNS = 60

POLICIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rates": ({"rate": 0.3, "keep": [{"when": "error", "rate": 0.9}]}, {"rate": 0.5}),
    "salt": ({"rate": 0.5}, {"rate": 0.5, "salt": "mine"}),
    "limit": ({"rate": 0.8, "keep": [{"when": "error"}]}, {"limit": parse_limit("200 per hour")}),
    "quota": ({"keep": [{"when": "error"}], "quota": {"at_most": "120 per hour"}}, {}),
    "all": (
        {"rate": 0.8, "keep": [{"when": "error"}], "quota": {"at_most": "200 per hour"}},
        {"rate": 0.7, "limit": parse_limit("150 per hour")},
    ),
    "otel": ({"rate": 0.3, "keep": [{"when": "error", "rate": 0.9}], "chance": "otel"}, {"rate": 0.8}),
}


def when(number: int) -> float:
    """Seconds after the hour: a quarter of an hour that is quiet, eight minutes that are not, and quiet again."""
    if number < 200:
        return number * 4.5
    return 900 + (number - 200) * 0.6 if number < 1000 else 1400 + (number - 1000) * 11.0


def population(chance: random.Random) -> Iterator[tuple[int, str, bool, float]]:
    """Candidates of an hour: when, service, whether it failed, and its score."""
    for number in range(1200):
        at = START + round(when(number) * SECOND)
        service = "busy" if chance.random() < 0.9 else "rare"
        failed = chance.random() < 0.1
        score = 0.8 - 0.3 * failed - 0.2 * (service == "rare") - 0.2 * (200 <= number < 1000)
        yield at, service, failed, score + chance.uniform(-0.05, 0.05)


def estimates(policy: str, seed: int) -> tuple[float, float, float]:
    """The weighed mean, the mean over everything, and the weighed count over the true one."""
    sample, configured = POLICIES[policy]
    chance = random.Random(seed)
    sampler = Sampler(SampleConfig.model_validate(sample))
    scores: dict[str, float] = {}
    one = scorer(name="one")(lambda trace: scores[trace.trace_id]).configured(**configured)
    runner = Runner([one], Telemetry())
    allowances = Allowances(runner.limits(), sampler.quota)
    everything: list[float] = []
    found: list[Decision] = []
    for at, service, failed, score in population(chance):
        trace_id = chance.randbytes(16)
        everything.append(score)
        if int.from_bytes(trace_id[9:], "big") < 2**55:
            continue  # the application keeps half, by the randomness of the id
        scores[trace_id.hex()] = score
        allowances.now_ns = at
        slices = {"service": service}
        admission = sampler.admit(trace_id, failed, slices, "ot=th:8")
        if sampler.quota is not None and admission.includes():
            admission, _ = within_quota(admission, slices, (), allowances)
        found += runner.evaluate_all([(Trace(trace_id.hex()), admission, ())], allowances)[0]
    given = [(one.score.value, one.probability) for one in found if one.score is not None]
    weighed = [(value, 1 / probability) for value, probability in given if value is not None]
    total = sum(weight for _, weight in weighed)
    return sum(value * weight for value, weight in weighed) / total, mean(everything), total / len(everything)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_weighed_mean_and_count_are_unbiased(policy: str) -> None:
    runs = [estimates(policy, seed) for seed in range(RUNS)]
    errors = [weighed - truth for weighed, truth, _ in runs]
    sigma = math.sqrt(mean([(error - mean(errors)) ** 2 for error in errors]) / RUNS)
    # A ratio of two estimates is off by the order of its variance (Hajek 1971), far below a Monte Carlo error here.
    assert abs(mean(errors)) < 3 * sigma + 0.002, (mean(errors), sigma)
    counts = [count for _, _, count in runs]
    spread = math.sqrt(mean([(count - mean(counts)) ** 2 for count in counts]) / RUNS)
    # What a hard limit refused is missing from the count, and is counted as `over_budget`: some per cent at most.
    assert abs(mean(counts) - 1) < 3 * spread + (0.05 if policy in ("limit", "quota", "all") else 0), (counts, spread)


@pytest.mark.parametrize("chance_by", ["hash", "otel"])
def test_where_spans_were_sampled_apart_from_their_trace_each_is_weighed_by_its_own(chance_by: str) -> None:
    """A gateway keeps half; behind it one service keeps a tenth of its model calls, another all that the gateway does.

    The first answers badly. Weighed by the root's word alone, its calls would count a fifth of what they should.
    """

    @scorer(name="of_trace", needs=("answer",))
    def of_trace(trace: Trace) -> float:
        return float(trace.answer or 0)

    @scorer(name="of_call", target="llm_call", needs=("answer",))
    def of_call(call: LLMCall, trace: Trace) -> float:
        return float(call.output_text or 0)

    @scorer(name="of_root")
    def of_root(trace: Trace) -> float:
        return 1.0

    chance, sampler = random.Random(11), Sampler(SampleConfig(rate=0.6, chance=chance_by))  # type: ignore[arg-type]
    runner = Runner([of_trace, of_call.configured(limit=parse_limit("1000 per hour")), of_root], Telemetry())
    allowances = Allowances(runner.limits())
    weights: dict[str, dict[float, float]] = {name: {0.2: 0.0, 1.0: 0.0} for name in ("of_trace", "of_call", "of_root")}
    count = 30_000
    for number in range(count):
        trace_id, allowances.now_ns = chance.randbytes(16), START + number * SECOND // 10
        place = 1 - int.from_bytes(trace_id[9:], "big") / 2**56  # a sampler of probability p keeps what is below p
        value, kept = (0.2, 0.1) if number % 2 else (1.0, 0.5)
        if place > 0.5:
            continue
        calls = [LLMCall("b" * 16, output_text=str(value))] if place <= kept else []
        trace = Trace(trace_id.hex(), answer=str(value) if calls else None, llm_calls=calls, root_span_id="a" * 16)
        apart = {"b" * 16: 0.1} if calls and kept == 0.1 else None
        admission = sampler.admit(trace_id, False, {}, "ot=th:8", apart)
        for decision in runner.evaluate_all([(trace, admission, ())], allowances)[0]:
            if decision.score is not None:
                weights[decision.scorer][value] += 1 / decision.probability
    for name in ("of_trace", "of_call"):
        for value, least in ((0.2, 0.03), (1.0, 0.1)):  # the least probabilities, with the limit
            deviation = math.sqrt(count / 2 * (1 / least - 1))  # of a count by Horvitz and Thompson
            assert abs(weights[name][value] - count / 2) < 4 * deviation, (name, value, weights)
    least = 0.5 if chance_by == "otel" else 0.3
    assert abs(weights["of_root"][1.0] + weights["of_root"][0.2] - count) < 4 * math.sqrt(count * (1 / least - 1))
