"""Versions of services, and since when each is seen, as the view has them. Dashboards mark deploys by it."""

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from collector.core.telemetry import Telemetry
from collector.slices import UNKNOWN
from driftline.records import Sheet

MOST_VERSIONS = 1000  # of all services together; those that were not seen for longest go
VERSIONS_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (service TEXT NOT NULL, version TEXT NOT NULL, first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL, PRIMARY KEY (service, version)) WITHOUT ROWID;
"""
ALL_VERSIONS = "SELECT service, version, first_ns FROM versions"
_TOO_MANY = (
    "DELETE FROM versions WHERE (service, version) IN "
    "(SELECT service, version FROM versions ORDER BY last_ns DESC, service, version LIMIT -1 OFFSET ?)"
)


class SeenSince(NamedTuple):
    """A version of a service, and the event time of the first trace of it that came."""

    service: str
    version: str
    first_ns: int


def put_versions(writer: sqlite3.Connection, sheets: Iterable[Sheet]) -> None:
    """Write which versions new sheets are of. The first time stays as it is: a wrong clock later on cannot move it."""
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for one in sheets:
        slices: dict[str, Any] = one["slices"]
        place, at_ns = (slices.get("service", UNKNOWN), slices.get("version", UNKNOWN)), one["event_ns"]
        if place[1] != UNKNOWN:
            first_ns, last_ns = seen.get(place, (at_ns, at_ns))
            seen[place] = min(first_ns, at_ns), max(last_ns, at_ns)
    if not seen:
        return
    writer.executemany(
        "INSERT INTO versions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_ns = max(last_ns, excluded.last_ns)",
        [(*place, *times) for place, times in seen.items()],
    )
    writer.execute(_TOO_MANY, (MOST_VERSIONS,))


class VersionMetric:
    """Shows versions as gauges: those that are known, and no others."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._first_seen = telemetry.gauge(
            "driftline_version_first_seen_timestamp_seconds",
            "When the first trace of this version of the service ended; of the 1000 versions that were seen last.",
            ("service", "version"),
            unit="seconds",
            fold=("service", "version"),
        )

    def show(self, versions: Iterable[SeenSince]) -> None:
        known = {(one.service, one.version): one.first_ns / 1e9 for one in versions}
        for gone in self._first_seen.values().keys() - known.keys():
            self._first_seen.remove(*gone)
        for place, seconds in known.items():
            self._first_seen.set(seconds, *place)
