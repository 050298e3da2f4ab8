import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.allowance import Allowance, mark, marked_step, parse_limit, rate_of_step
from collector.core.frequency import Frequency
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.quota import Allowances
from collector.sample import Admission
from scorers.base import scorer
from scorers.ledger import Decision, marks_of
from scorers.runner import Runner

SECOND = 10**9
HOUR = 3600 * SECOND
START = 1_760_054_400 * SECOND  # the beginning of a day


def poisson(chance: random.Random, per_second: float, seconds: float) -> Iterator[int]:
    at = 0.0
    while (at := at + chance.expovariate(per_second)) < seconds:
        yield START + round(at * SECOND)


def spent(allowance: Allowance, times: Iterator[int], chance: random.Random) -> Iterator[tuple[int, float, bool]]:
    """When candidates came that the rate let through, at what rate, and whether they were run."""
    for at in times:
        rate = rate_of_step(allowance.step(at))
        if chance.random() < rate:
            yield at, rate, allowance.spend(at)


def test_a_budget_is_spent_almost_whole_and_evenly() -> None:
    chance = random.Random(1)
    runs = [at for at, _, ran in spent(Allowance(Frequency(600, 3600)), poisson(chance, 20, 3600), chance) if ran]
    assert 0.95 * 600 <= len(runs) <= 600
    tenths = Counter((at - START) * 10 // HOUR for at in runs)
    assert all(35 <= tenths[tenth] <= 85 for tenth in range(10)), tenths  # 60 each; 3 standard deviations are 23


def test_where_the_budget_is_enough_all_are_run() -> None:
    chance = random.Random(2)
    times = list(poisson(chance, 0.1, 7200))  # 360 an hour
    allowance = Allowance(Frequency(600, 3600))
    rates = [rate_of_step(allowance.step(at)) for at in times if allowance.spend(at)]
    assert len(rates) == len(times)
    assert all(rate == 1 for rate in rates[20:])


def test_a_budget_that_would_be_gone_by_noon_lasts_until_the_evening() -> None:
    """Traffic grows fifty times for an hour of the day, and what comes after it is scored as well."""
    chance = random.Random(3)
    quiet, busy = poisson(chance, 0.2, 86400), poisson(chance, 10, 3600)
    times = sorted([*quiet, *(at + 11 * HOUR for at in busy)])
    allowance = Allowance(Frequency(2400, 86400))
    ran = [at for at, _, ran in spent(allowance, iter(times), chance) if ran]
    runs = Counter((at - START) // HOUR for at in ran)
    assert len(ran) <= 2400
    assert all(20 <= runs[hour] <= 250 for hour in range(24)), runs


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 50),
    st.lists(
        st.tuples(st.sampled_from((0, 0, 1, 1000, SECOND, 60 * SECOND, HOUR, -HOUR)), st.floats(0, 1)), max_size=300
    ),
    st.integers(1, 9),
)
def test_no_period_spends_more_than_the_limit_whatever_comes(
    count: int, steps: list[tuple[int, float]], partitions: int
) -> None:
    parts = [Allowance(Frequency(count, 3600)) for _ in range(partitions)]
    for number, part in enumerate(parts):
        part.share(number, partitions)
    at, runs = START, Counter[int]()
    reached = START
    for number, (passed, unit) in enumerate(steps):
        at += passed
        reached = max(reached, at)
        for part in parts if number % 3 else parts[:1]:
            rate = rate_of_step(part.step(at))
            assert 0 < rate <= 1
            if unit < rate and part.spend(at):
                runs[part._now_ns // HOUR] += 1
    assert all(spent <= count for spent in runs.values())


@given(st.integers(1, 10_000), st.integers(1, 100), st.integers(0, 1000))
def test_shares_of_partitions_are_whole_and_add_up(count: int, partitions: int, hours: int) -> None:
    shares = []
    for number in range(partitions):
        part = Allowance(Frequency(count, 3600))
        part.share(number, partitions)
        part.step(START + hours * HOUR)
        shares.append(part.budget)
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1
    assert all(share == int(share) for share in shares)


def test_a_mean_weighed_by_the_rates_in_force_is_unbiased_where_the_plain_one_is_not() -> None:
    """Scores are worse while traffic is high, which is when the smallest share of them is looked at."""
    chance = random.Random(4)
    weighed, plain, truths = [], [], []
    for _ in range(60):
        busy = [at + HOUR // 4 for at in poisson(chance, 4, 900)]
        times = sorted([*poisson(chance, 0.4, 3500), *busy])
        scores = {
            at: (0.4 if START + HOUR // 4 <= at < START + HOUR // 2 else 0.9) + chance.uniform(-0.1, 0.1)
            for at in times
        }
        found = [
            (scores[at], 1 / rate)
            for at, rate, ran in spent(Allowance(Frequency(300, 3600)), iter(times), chance)
            if ran
        ]
        weighed.append(sum(score * weight for score, weight in found) / sum(weight for _, weight in found))
        plain.append(sum(score for score, _ in found) / len(found))
        truths.append(sum(scores.values()) / len(scores))
    errors = [one - truth for one, truth in zip(weighed, truths, strict=True)]
    mean = sum(errors) / len(errors)
    sigma = math.sqrt(sum((error - mean) ** 2 for error in errors)) / len(errors)
    assert abs(mean) < 3 * sigma + 0.003  # the ratio of two estimates is off by about a variance: 0.001 here
    assert abs(sum(plain) / len(plain) - sum(truths) / len(truths)) > 0.03


def kept_of(allowances: Allowances) -> dict[str, bytes]:
    return {key: value for key, value in allowances.take_changes().items() if value is not None}


def test_what_was_kept_goes_on_as_if_nothing_had_happened() -> None:
    chance = random.Random(5)
    times = list(poisson(chance, 5, 600))
    whole, first = (Allowances({"one": Frequency(60, 3600)}) for _ in range(2))
    steps = []
    for number, at in enumerate(times):
        if number % 100 == 50:
            kept, first = kept_of(first), Allowances({"one": Frequency(60, 3600)})
            first.load(kept)
        pair = [one for each in (whole, first) if (one := each.of_scorer("one")) is not None]
        steps.append([(one.step(at), one.spend(at, 0.1)) for one in pair])
    assert all(a == b for a, b in steps)


def test_another_limit_begins_anew() -> None:
    old, new = Allowances({"one": Frequency(1, 3600)}), Allowances({"one": Frequency(2, 3600), "two": Frequency(1, 60)})
    one = old.of_scorer("one")
    assert one is not None
    one.step(START)
    assert one.spend(START) and not one.spend(START)
    new.load(kept_of(old))
    one = new.of_scorer("one")
    assert one is not None
    assert one.spend(START) and one.spend(START)


def test_the_step_of_a_scorer_is_found_among_marks_whatever_its_name_is() -> None:
    marks = ["a b", mark("a b", 3), mark("a", 5), "a"]
    assert [marked_step(name, marks) for name in ("a b", "a", "b", "")] == [3, 5, None, None]


@pytest.mark.parametrize(
    "value", ["", "600", "0 per hour", "0.5 per hour", "600 per second", "1 per year", 5, ["1 per hour"]]
)
def test_what_is_no_limit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not a (whole )?number of evaluations"):
        parse_limit(value)


class Limited:
    """A runner of one scorer that may run twice an hour."""

    def __init__(self) -> None:
        one = scorer(name="one", needs=("answer",))(lambda trace: 0.5)
        self.runner = Runner([one.configured(limit=parse_limit("2 per hour"))], Telemetry())
        self.allowances = Allowances(self.runner.limits())

    def decide(self, at: int, unit: float = 0.0, answer: str | None = "Fine.", marks: tuple[str, ...] = ()) -> Decision:
        self.allowances.now_ns = at
        trace = Trace(f"{at:032x}", answer=answer)
        item = (trace, Admission(unit, 1.0, 0.5, "sample.rate"), marks)
        ((decision,),) = self.runner.evaluate_all([item], self.allowances)
        return decision


def test_a_limit_throttles_by_the_id_and_then_is_hard() -> None:
    limited = Limited()
    one = limited.decide(START)
    assert (one.decision, one.rule) == ("scored", "scorers[0].limit")
    assert one.probability == 0.5 * rate_of_step(one.step or 0) < 0.5
    two = limited.decide(START + SECOND, unit=0.999)
    assert (two.decision, two.reason, two.rule) == ("throttled", "limit", "scorers[0].limit")
    assert limited.decide(START + 2 * SECOND).decision == "scored"
    three = limited.decide(START + 3 * SECOND)
    assert (three.decision, three.reason, three.score) == ("over_budget", "limit", None)
    assert limited.decide(START + HOUR).decision == "scored"


def test_what_could_not_be_scored_anyway_takes_nothing_of_the_limit() -> None:
    limited = Limited()
    for number in range(10):
        assert limited.decide(START + number, answer=None).reason == "needs:answer"
    assert [limited.decide(START + HOUR // 2 + number).decision for number in range(3)] == [
        "scored",
        "scored",
        "over_budget",
    ]


def test_a_revision_is_decided_at_the_rate_of_the_first_evaluation() -> None:
    limited = Limited()
    first = limited.decide(START, unit=0.001)
    assert first.decision == "scored"
    marks = tuple(marks_of([first]))
    limited.decide(START + 1)
    again = limited.decide(START + HOUR, unit=0.001, marks=marks)
    assert (again.decision, again.probability) == ("scored", first.probability)
    thrown = limited.decide(START + HOUR + 1, unit=0.999)
    assert thrown.decision == "throttled"
    later = limited.decide(START + 3 * HOUR, unit=0.999, marks=tuple(marks_of([thrown])))
    assert (later.decision, later.probability) == ("throttled", thrown.probability)
