"""The table of metrics in the documentation, written from the instruments themselves so that it cannot go stale."""

from alerts.samples import family_name
from collector.core.telemetry import Counter, Histogram, Instrument, Telemetry

_HEAD = "| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|\n"
BEGIN = "<!-- metrics: written from the code, do not edit -->"
END = "<!-- /metrics -->"


def metrics_table(telemetry: Telemetry) -> str:
    """All declared instruments as a Markdown table, by name, as Prometheus sees them.

    >>> telemetry = Telemetry()
    >>> _ = telemetry.counter("driftline_scores", "Scores.", ["scorer"])
    >>> print(metrics_table(telemetry).splitlines()[-1])
    | `driftline_scores_total` | counter |  | `scorer` | Scores. |
    """
    return _HEAD + "".join(_row(instrument) for instrument in telemetry.instruments())


def in_document(document: str, telemetry: Telemetry) -> str:
    """The document with the table between its two marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    return between_marks(document, BEGIN, metrics_table(telemetry), END)


def between_marks(document: str, begin: str, content: str, end: str) -> str:
    """The document with `content` in place of what stands between two marks.

    Raises:
        ValueError: the marks are missing.
    """
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the document has no {begin} ... {end}")
    return f"{before}{begin}\n{content}{end}{after}"


def _row(instrument: Instrument) -> str:
    name = family_name(instrument) + ("_total" if isinstance(instrument, Counter) else "")
    meaning = instrument.help
    if isinstance(instrument, Histogram):
        meaning += f" Buckets: {', '.join(f'{bucket:g}' for bucket in instrument.buckets)}."
    labels = ", ".join(f"`{label}`" for label in instrument.labels)
    cells = (f"`{name}`", instrument.kind, instrument.unit, labels, meaning.replace("|", r"\|").replace("\n", " "))
    return "| " + " | ".join(cells) + " |\n"
