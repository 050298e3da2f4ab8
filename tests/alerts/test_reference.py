"""The documentation of metrics is written from the code, and says all that operators need of each."""

from pathlib import Path

import pytest

from alerts.config import AlertsConfig, build_deliverer
from alerts.events import EventExporter, EventsConfig
from alerts.reference import BEGIN, END, in_document, metrics_table
from collector.core.telemetry import Telemetry

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def alert_telemetry() -> Telemetry:
    telemetry = Telemetry()
    build_deliverer(AlertsConfig(), telemetry)
    EventExporter(EventsConfig(otlp_http="http://127.0.0.1:1"), telemetry).close()
    return telemetry


def test_every_metric_of_this_part_is_documented_as_it_is() -> None:
    documented = DOCUMENT.read_text().splitlines()
    missing = [row for row in metrics_table(alert_telemetry()).splitlines() if row not in documented]

    assert missing == []


def test_every_instrument_of_this_part_has_a_help_text_and_says_its_unit_last() -> None:
    for instrument in alert_telemetry().instruments():
        assert instrument.name.startswith("driftline_")
        assert instrument.help.endswith(".")
        assert not instrument.unit or instrument.name.endswith(f"_{instrument.unit}")


def test_the_table_replaces_the_one_between_the_marks() -> None:
    telemetry = Telemetry()
    telemetry.histogram("driftline_h_seconds", "A | b\nc.", ["x", "y"], buckets=(0.5, 10), unit="seconds")
    text = in_document(f"# Head\n{BEGIN}\nold\n{END}\ntail\n", telemetry)

    row = r"| `driftline_h_seconds` | histogram | seconds | `x`, `y` | A \| b c. Buckets: 0.5, 10. |"
    assert text.startswith(f"# Head\n{BEGIN}\n| metric |")
    assert text.endswith(f"{row}\n{END}\ntail\n")
    assert in_document(text, telemetry) == text
    with pytest.raises(ValueError, match="the document has no"):
        in_document("# Head\n", telemetry)
