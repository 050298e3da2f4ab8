"""PromQL written safely: strings, selectors and durations."""

import re
from collections.abc import Mapping, Sequence

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def quoted(text: str) -> str:
    r"""A string literal (Prometheus, "Expression language basics": escapes as in Go).

    >>> print(quoted('a "b"\\'))
    "a \"b\"\\"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(metric: str, equal: Mapping[str, str], among: Mapping[str, Sequence[str]] | None = None) -> str:
    """The series of a metric whose labels are `equal` to these, or `among` those.

    >>> selector("driftline_valid_total", {"scorer": "pii"}, {"service": ["shop", "a.b"]})
    'driftline_valid_total{scorer="pii",service=~"shop|a\\\\\\\\.b"}'
    """
    matchers = [f"{label}={quoted(value)}" for label, value in equal.items()]
    for label, values in (among or {}).items():
        if values:
            pattern = "|".join(_SPECIAL.sub(r"\\\1", value) for value in values)
            matchers.append(f"{label}=~{quoted(pattern)}")
    return f"{metric}{{{','.join(matchers)}}}"


def grown(counter: str, window: str) -> str:
    """What a counter grew by within `window`, where it did; a series that is new since then has grown from zero.

    `increase` alone does not see the first event of a series that begins with it, and some events come once.

    >>> print(grown("driftline_x_total", "1h"))
    (increase(driftline_x_total[1h]) > 0 or (driftline_x_total unless driftline_x_total offset 1h) > 0)
    """
    return f"(increase({counter}[{window}]) > 0 or ({counter} unless {counter} offset {window}) > 0)"


def duration(seconds: float) -> str:
    """A duration as PromQL writes it, in whole seconds.

    >>> duration(5400), duration(30 * 86400), duration(7 * 60)
    ('1h30m', '30d', '7m')
    """
    left = round(seconds)
    parts = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
