"""The export stages that a configuration asks for."""

from collections.abc import Sequence

from collector.core.clock import Clock
from collector.core.engine import Engine
from collector.core.telemetry import Telemetry
from driftline.export.config import ExportConfig
from driftline.export.file_stage import FileStage
from driftline.export.parquet import require_pyarrow
from driftline.export.rows import change_key, score_key
from driftline.export.stage import ExportStage, TopicStage, changes, scores, stage_name
from driftline.export.topic import Topic


def check_export(config: ExportConfig) -> None:
    """
    Raises:
        UserError: what it needs is not installed.
    """
    if config.parquet is not None:
        require_pyarrow("export.parquet")


def stages_with_state(config: ExportConfig) -> dict[str, str]:
    """Those of the stages that keep state, with the log that each reads."""
    if config.parquet is None:
        return {}
    return {stage_name("parquet", source): source.log for source in (scores(config.unscored), changes())}


def export_stages(config: ExportConfig, engine: Engine, clock: Clock, telemetry: Telemetry) -> Sequence[ExportStage]:
    """The stages, not yet started.

    Raises:
        UserError: what they need is not installed.
    """
    check_export(config)
    sources = scores(config.unscored), changes()
    stages: list[ExportStage] = []
    if (kafka := config.kafka) is not None:
        for source, topic, key in zip(sources, (kafka.scores, kafka.changes), (score_key, change_key), strict=True):
            if topic is not None:
                stages.append(TopicStage(Topic(kafka, topic, key), source, engine, telemetry))
    if config.parquet is not None:
        stages += [FileStage(config.parquet, source, engine, clock, telemetry) for source in sources]
    return stages
