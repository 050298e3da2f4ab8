"""Which page a change is part of, and what a page costs.

A page is false if nothing has changed: neither its series nor one that it names as found with it. The expected number
of these is at most the start mass handed out (`drift.budget`): each is paid for with a whole unit of evidence, which is
then given up, and nothing else makes a page.

- A change that has a unit by itself pays with it, when it is found or later.
- A round of changes that all have less (`drift.rounds`) has one page. It is paid for by those found at that moment, the
  page first, then the strongest, until what they give adds up to 1; it does, as each of k has 1/k or more. The rest of
  a round is part of that page, whatever the service. What evidence they keep goes on growing: with a unit of its own a
  change is a page too, unless its own service has one of that round.

So people of another service than the one that is paged first wait no longer than if theirs had failed alone, but for
those whose evidence paid for the first page; and it names them.
"""

from collections.abc import Iterable, Sequence

from drift.base import Change
from drift.episode import Episode
from drift.series import Series

_WHOLE = 1.0 - 1e-9  # ten times a tenth, in floating point


def service_of(series: Series) -> str:
    """Whose people are told; series without a service have the same."""
    return series.slices.get("service", "")


def page_of(
    series: Series, episode: Episode, relatives: Iterable[Series], either_way: bool, every: Iterable[Series]
) -> Series | None:
    """The series whose page, which lasts, an active change is part of; None if there is none.

    It is part of the page of a series that holds this one or is held by it, if both went the same way and this one may
    have begun before that one was detected. What begins later is news. Of shares, which add up to one, some fall since
    others rise (`either_way`). A change that was found with less than a whole unit of evidence is also part of a page
    of its service from the same round, and until it has that unit of the page it was `found_with`.
    """
    change = episode.change
    wanted = [told for other in relatives if (told := _told_of(change, other, either_way))]
    if not wanted and not episode.found_with:
        return None
    pages = {one.episode.change.id: one for one in every if one.episode is not None and one.episode.change.paged}
    if episode.found_with:
        wanted += [page for page, other in pages.items() if _of_one_round(series, episode, other)]
        wanted += [episode.found_with] if episode.weak else []
    return next((pages[page] for page in wanted if page in pages), None)


def affordable(found: Iterable[tuple[Series, Change]]) -> bool:
    """Whether those of these changes that have less than a whole unit of evidence have one together."""
    return sum(change.evidence for series, change in found if _is_weak(series)) >= _WHOLE


def pay(page: Series, found: Sequence[tuple[Series, Change]]) -> None:
    """Give up a whole unit of evidence for a page that has less: its own, then that of those it was found with."""
    given = 0.0
    for series, change in sorted(found, key=lambda one: one[0] is not page):
        if given < _WHOLE and _is_weak(series):
            given += change.evidence
            if series is page and series.episode is not None:
                series.episode.weak = False
            series.spend()


def _is_weak(series: Series) -> bool:
    return series.episode is not None and series.episode.weak


def _of_one_round(series: Series, episode: Episode, other: Series) -> bool:
    theirs = other.episode
    if theirs is None or other is series or service_of(other) != service_of(series):
        return False
    return episode.found_with in (theirs.change.id, theirs.found_with)


def _told_of(change: Change, other: Series, either_way: bool) -> str:
    """The page that the change of another series is, or is part of, if this one goes with it; empty if not."""
    theirs = other.episode.change if other.episode else None
    if theirs is None or change.onset_low_ns > theirs.detected_ns:
        return ""
    if theirs.direction != change.direction and not either_way:
        return ""
    return theirs.id if theirs.paged else theirs.related
