"""What is left undone when more comes in than can be worked through: the most expensive scorers first.

How far behind the service is, is the age of the record it works on. Past `after`, scorers of tier 2 (judges) are not
run; past twice that, those of tier 1 (local models); past three times, all that are not built in. Built-ins of tier 0
always run: they cost less than receiving a trace does.
"""

from pydantic import Field

from collector.core.settings import Duration, Settings
from scorers.base import Scorer


class ShedConfig(Settings):
    """`shed:`. What was shed is not scored later: its decision says so, and by how much the service was behind."""

    after: Duration | None = Field(
        default=60.0, description="how far the service may be behind before scorers are left out; null: never"
    )


def sheds(config: ShedConfig, scorer: Scorer, behind_seconds: float) -> bool:
    """Whether a scorer is not run now."""
    if config.after is None or behind_seconds <= config.after:
        return False
    if scorer.tier == 2:
        return True
    if scorer.tier == 1:
        return behind_seconds > 2 * config.after
    return not scorer.built_in and behind_seconds > 3 * config.after
