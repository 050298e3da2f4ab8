"""Which page a change is part of."""

from collections.abc import Iterable

from drift.base import Change
from drift.series import Series


def told_with(change: Change, relatives: Iterable[Series], either_way: bool) -> str:
    """The page that a change is part of, empty if none.

    It is part of the page of a series that holds this one or is held by it, if both went the same way and this one may
    have begun before that one was detected. What begins later is news. Of shares, which add up to one, some fall since
    others rise.
    """
    for other in relatives:
        theirs = other.episode.change if other.episode else None
        if theirs is None or change.onset_low_ns > theirs.detected_ns:
            continue
        if theirs.direction != change.direction and not either_way:
            continue
        page = theirs.id if theirs.paged else theirs.related
        if page:
            return page
    return ""


def page_of(page: str, every: Iterable[Series]) -> Series | None:
    """The series whose active change is the page of this id."""
    for series in every:
        change = series.episode.change if series.episode is not None else None
        if change is not None and change.paged and change.id == page:
            return series
    return None
