"""Which page a change is part of."""

from collections.abc import Iterable

from drift.base import Change
from drift.series import Series


def page_of(
    change: Change, relatives: Iterable[Series], either_way: bool, found_with: str, every: Iterable[Series]
) -> Series | None:
    """The series whose page, which lasts, an active change is part of; None if there is none.

    It is part of the page of a series that holds this one or is held by it, if both went the same way and this one may
    have begun before that one was detected. What begins later is news. Of shares, which add up to one, some fall since
    others rise (`either_way`). A change that was found with less than a whole unit of evidence is also part of the page
    `found_with`, that of its service in its round, or of the one that it was part of so far.
    """
    wanted = [told for other in relatives if (told := _told_of(change, other, either_way))]
    if change.evidence < 1.0:
        wanted.append(found_with or change.related)
    if not any(wanted):
        return None
    pages = {one.episode.change.id: one for one in every if one.episode is not None and one.episode.change.paged}
    return next((pages[page] for page in wanted if page in pages), None)


def _told_of(change: Change, other: Series, either_way: bool) -> str:
    """The page that the change of another series is, or is part of, if this one goes with it; empty if not."""
    theirs = other.episode.change if other.episode else None
    if theirs is None or change.onset_low_ns > theirs.detected_ns:
        return ""
    if theirs.direction != change.direction and not either_way:
        return ""
    return theirs.id if theirs.paged else theirs.related
