"""How traces and sessions are put together: waits and limits."""

from pydantic import Field

from collector.core.settings import Duration, Settings, Size


class AssembleConfig(Settings):
    """When a trace is complete, and how much may wait for that."""

    quiet: Duration = Field(5.0, description="a trace is ready when its root has ended and nothing came for this long")
    max_age: Duration = Field(
        600.0, gt=0, description="a trace is given up waiting for its root this long after it began"
    )
    lateness: Duration = Field(0.5, description="how far event time trails the newest span seen")
    revision_window: Duration = Field(
        3600.0, description="how long after evaluation a late span still corrects a trace"
    )
    session_idle: Duration = Field(1800.0, gt=0, description="a session is over after this long without a trace")
    session_max_age: Duration = Field(
        86400.0, gt=0, description="a session that goes on this long is scored as it is, incomplete; another begins"
    )
    session_max_turns: int = Field(100, ge=2, le=200, description="the same for a session of so many traces")
    max_sessions: Size = Field(64 * 2**20, gt=0, description="memory for the turns of sessions that wait")
    max_open: Size = Field(512 * 2**20, gt=0, description="memory for spans that wait")
    max_value: Size = Field(
        2**20, ge=2**14, description="longer texts of a span are cut; a span may have four times as much in all"
    )
    max_spans: int = Field(20_000, ge=1, description="spans kept of one trace; more are counted and left out")
    max_let_go: int = Field(
        262_144, ge=8, description="traces of a partition whose id is known when they can no longer be revised"
    )
