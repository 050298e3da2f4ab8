"""Durations and sizes the way people write them in the configuration."""

_DURATIONS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_SIZES = (("GiB", 2**30), ("GB", 10**9), ("MiB", 2**20), ("MB", 10**6), ("KiB", 2**10), ("KB", 10**3))


def duration_text(seconds: float) -> str:
    """A duration as `collector.core.settings.parse_duration` reads it, to the millisecond.

    >>> duration_text(5400), duration_text(0.25), duration_text(30 * 86400), duration_text(0)
    ('1h30m', '250ms', '30d', '0s')
    """
    left = round(seconds * 1000)
    parts = []
    for unit, milliseconds in _DURATIONS:
        if unit == "w" and left % milliseconds:  # 30 days are no weeks and some days
            continue
        count, left = divmod(left, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def size_text(size_bytes: int) -> str:
    """A size as `collector.core.settings.parse_size` reads it.

    >>> size_text(512 * 2**20), size_text(20 * 10**9), size_text(1500), size_text(0)
    ('512MiB', '20GB', '1500B', '0B')
    """
    for unit, factor in _SIZES:
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"
