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


def lasts(page: str, every: Iterable[Series]) -> bool:
    """Whether the change of this id is a page and still active."""
    episodes = (series.episode for series in every)
    return any(episode is not None and episode.change.paged and episode.change.id == page for episode in episodes)
