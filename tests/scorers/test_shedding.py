"""What is left out first when the service is behind, and what never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.clock import FakeClock
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Scorer, scorer
from scorers.builtin.refusal import refusal
from scorers.runner import Runner
from scorers.shedding import ShedConfig, sheds

EVERYTHING = Admission(unit=0.5, rate=1.0, upstream=1.0, rule="sample.rate")


def of_tier(tier: int) -> Scorer:
    def score(trace: Trace) -> float:
        return 1.0

    return scorer(name=f"tier_{tier}", tier=tier, needs=("answer",))(score)


JUDGE, MODEL, MINE = of_tier(2), of_tier(1), of_tier(0)


@pytest.mark.parametrize(
    ("behind_seconds", "left_out"),
    [(0, []), (60, []), (61, ["tier_2"]), (121, ["tier_2", "tier_1"]), (181, ["tier_2", "tier_1", "tier_0"])],
)
def test_the_most_expensive_is_left_out_first_and_built_ins_never(behind_seconds: float, left_out: list[str]) -> None:
    found = [one.name for one in (JUDGE, MODEL, MINE, refusal) if sheds(ShedConfig(), one, behind_seconds)]
    assert found == left_out


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_further_behind_never_leaves_out_less(one_seconds: float, other_seconds: float) -> None:
    less, more = sorted([one_seconds, other_seconds])
    for one in (JUDGE, MODEL, MINE, refusal):
        assert sheds(ShedConfig(), one, less) <= sheds(ShedConfig(), one, more)
        assert not sheds(ShedConfig(after=None), one, more)


def test_what_is_shed_has_its_decision_and_is_not_called() -> None:
    runner = Runner([JUDGE, refusal], Telemetry(), FakeClock(), ShedConfig.model_validate({"after": "10s"}))
    full, bare = Trace("1" * 32, question="Why?", answer="So."), Trace("2" * 32)
    found = runner.evaluate_all([(full, EVERYTHING, ()), (bare, EVERYTHING, ())], None, behind_seconds=12.4)
    runner.close()
    told = [[(one.scorer, one.decision, one.reason, one.detail, one.rule) for one in some] for some in found]
    assert told[0][0] == ("tier_2", "shed", "behind", "by 12 s", "shed.after")
    assert told[1][0] == ("tier_2", "filtered", "needs:answer", "", "sample.rate"), "it had not been run anyhow"
    assert told[0][1][:2] == ("refusal", "scored")
