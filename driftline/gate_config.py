"""The settings of `gate:`."""

from pydantic import Field

from collector.core.settings import Duration, Settings


class GateConfig(Settings):
    """New versions are compared with those they replace."""

    metrics: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="scorers that judge, as SCORER or SCORER:MARGIN (0.03 if left out): how much lower the pass rate "
        "of a new version may be; SCORER<=LIMIT: of the share that keeps to it; mean(SCORER): how much worse its mean, "
        "in its unit; none: nothing is compared",
    )
    by: str = Field("version", min_length=1, description="the slice that tells versions apart")
    alpha: float = Field(0.05, gt=0, lt=1, description="probability of a wrong verdict")
    lasts: Duration = Field(86_400.0, ge=60, description="how long a new version is compared, in event time")
    every: Duration = Field(300.0, ge=1, description="time between two comparisons")
    max_traces: int = Field(20_000, ge=100, le=1_000_000, description="looked at for new versions, and compared")
