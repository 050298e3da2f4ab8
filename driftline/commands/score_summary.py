"""What a run of `driftline score` found, and how well it fits the labels of the rows."""

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson

from scorers.base import Scorer
from scorers.calibrate import Calibration, brier, calibration_error, fit, reliability
from scorers.quality import Verdicts, auroc, average_precision, verdicts


@dataclass
class Summary:
    """What a run found, over all rows."""

    scorer: Scorer
    rows: int = 0
    objects: int = 0  # rows that are JSON objects: of others nothing can be scored
    values: list[float] = field(default_factory=list)
    passed: Counter[bool | None] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    labelled: list[tuple[float, int]] = field(default_factory=list)  # value, label
    judged: list[tuple[bool, int]] = field(default_factory=list)  # passed, label; also of scores without a value
    other_labels: int = 0  # rows whose label is neither 0 nor 1

    def add(self, row: object, result: dict[str, Any]) -> None:
        self.rows += 1
        self.objects += isinstance(row, dict)
        if result["error"] is not None:
            self.errors[result["error"]] += 1
            return
        self.passed[result["passed"]] += 1
        if result["score"] is not None:
            self.values.append(result["score"])
        label = row.get("label") if isinstance(row, dict) else None
        if not isinstance(label, int | float) or label not in (0, 1):
            self.other_labels += label is not None
            return
        if result["score"] is not None:
            self.labelled.append((result["score"], int(label)))
        if result["passed"] is not None:
            self.judged.append((result["passed"], int(label)))

    def to_json(self) -> dict[str, Any]:
        count = len(self.values)
        summary: dict[str, Any] = {
            "scorer": self.scorer.name,
            "evaluator_id": self.scorer.evaluator_id,
            "rows": self.rows,
            "scored": sum(self.passed.values()),
            "errors": self.errors.total(),
            "mean": sum(self.values) / count if count else None,
            "passed": self.passed[True],
            "not_passed": self.passed[False],
        }
        if self.errors:
            summary["most_common_errors"] = dict(self.errors.most_common(3))
        if self.other_labels:
            summary["labels_left_out"] = self.other_labels
        quality = self._of_values() | self._of_verdicts()
        if quality:
            summary["quality"] = {"labelled": max(len(self.labelled), len(self.judged)), **quality}
        return summary

    def _of_verdicts(self) -> dict[str, Any]:
        labels = [label for _, label in self.judged]
        return _verdicts(verdicts([not passed for passed, _ in self.judged], labels)) if _both(labels) else {}

    def _of_values(self) -> dict[str, Any]:
        labels = [label for _, label in self.labelled]
        if not _both(labels):
            return {}
        higher = self.scorer.better == "higher"
        risks = [-value if higher else value for value, _ in self.labelled]
        quality: dict[str, Any] = {"auroc": auroc(risks, labels), "ap": average_precision(risks, labels)}
        if self.scorer.score_unit == "ratio" and self.scorer.score_range == (0.0, 1.0):
            chances = [1 - value if higher else value for value, _ in self.labelled]
            quality["brier"] = brier(chances, labels)
            quality["calibration_error"] = calibration_error(chances, labels)
            quality["reliability"] = [one._asdict() for one in reliability(chances, labels)]
        return quality


def _both(labels: list[int]) -> bool:
    """Whether there is something to tell apart."""
    return len(set(labels)) == 2


def _verdicts(found: Verdicts) -> dict[str, Any]:
    return {
        "f1": found.f1,
        "precision": found.precision,
        "recall": found.recall,
        "false_positive_rate": found.false_positive_rate,
        "confusion": {
            "flagged_of_label_1": found.true_positives,
            "flagged_of_label_0": found.false_positives,
            "passed_of_label_1": found.false_negatives,
            "passed_of_label_0": found.true_negatives,
        },
    }


def tell(summary: Summary, as_json: bool, to_stderr: bool) -> None:
    found = summary.to_json()
    if as_json:
        # NaN, such as the precision of a scorer that flags nothing, becomes null.
        click.echo(orjson.dumps(found).decode(), err=to_stderr)
        return
    mean = "" if found["mean"] is None else f", mean {found['mean']:.4g}"
    judged = (
        f", {found['passed']} passed, {found['not_passed']} did not" if found["passed"] or found["not_passed"] else ""
    )
    click.echo(f"{found['scorer']}: {found['rows']} rows, {found['scored']} scored{mean}{judged}", err=to_stderr)
    for error, count in found.get("most_common_errors", {}).items():
        click.echo(f"  {count} without a score: {error}", err=to_stderr)
    if summary.other_labels:
        click.echo(f"  {summary.other_labels} labels are neither 0 nor 1: left out", err=to_stderr)
    for line in _quality_in_words(found.get("quality", {})):
        click.echo(f"  {line}", err=to_stderr)


def _quality_in_words(quality: dict[str, Any]) -> list[str]:
    if not quality:
        return []
    numbers = [f"{name} {value:.4g}" for name, value in quality.items() if isinstance(value, int | float)]
    lines = [f"against labels: {', '.join(numbers)}"]
    if (cells := quality.get("confusion")) is not None:
        lines.append(f"{'':12}{'label 1':>9}{'label 0':>9}")
        for verdict in ("flagged", "passed"):
            counts = [cells[f"{verdict}_of_label_{label}"] for label in (1, 0)]
            lines.append(f"{verdict:12}{counts[0]:>9}{counts[1]:>9}")
    if "reliability" in quality:
        lines.append("read as a probability of label 1: rows, mean of what was told, share of label 1")
        lines += [f"{one['rows']:>12}{one['told']:>9.3f}{one['found']:>9.3f}" for one in quality["reliability"]]
    return lines


def calibrate(summary: Summary, target: Path, most_false_positives: float, use: str, to_stderr: bool) -> None:
    """Fit a calibration to the labelled rows, write it, and say how good it is on rows it was not fitted to.

    Raises:
        UserError: there are too few labelled rows, or the scores say nothing about the labels.
        OSError: the file cannot be written.
    """
    scorer = summary.scorer
    values, labels = [value for value, _ in summary.labelled], [label for _, label in summary.labelled]
    found = fit(values, labels, most_false_positives)
    # To six digits, and so that no row at the threshold is flagged for the rounding.
    cut = math.ceil(found.threshold * 1e6) / 1e6
    passing = f">= {1 - cut:.6f}" if scorer.better == "higher" else f"<= {cut:.6f}"
    calibration = Calibration(
        scorer=scorer.name,
        code_id=scorer.code_id,
        better=scorer.better,
        slope=found.slope,
        intercept=found.intercept,
        passing=passing,
        rows=len(labels),
        flagged_rows=sum(labels),
    )
    target.write_text(calibration.model_dump_json(indent=2) + "\n")
    held_out = found.held_out
    click.echo(
        f"calibrated to {len(labels)} labelled rows: {target}\n"
        f"  passes {passing}, a probability; on rows left out of the fit: recall {held_out.recall:.3f},"
        f" false positives {held_out.false_positive_rate:.3f}, F1 {held_out.f1:.3f}, Brier {found.brier:.3f},"
        f" calibration error {found.error:.3f}\n"
        f"  use it: scorers: [{{use: {use}, calibration: {target}}}]",
        err=to_stderr,
    )
