"""A scorer as the service runs it, over a few traces."""

from typing import Any

from collector.core.clock import FakeClock
from collector.core.model import Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from scorers.base import Scorer
from scorers.ledger import Decision
from scorers.loading import ScorerConfig, load_scorers
from scorers.runner import Runner

EVERYTHING = Admission(0.5, 1.0, 1.0, "sample.rate")


def configured(use: str, **options: Any) -> Scorer:
    (one,) = load_scorers([ScorerConfig.model_validate({"use": use, "options": options, "timeout": "30s"})])
    return one


def evaluate(one: Scorer, *asked: Trace) -> list[Decision]:
    runner = Runner([one], Telemetry(), FakeClock())
    try:
        return [found[0] for found in runner.evaluate_all([(trace, EVERYTHING, ()) for trace in asked])]
    finally:
        runner.close()
