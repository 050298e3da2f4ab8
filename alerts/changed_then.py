"""What changed when a level did, in a sentence: never as its cause."""

from alerts.plain import clean, minute
from collector.provenance import KINDS
from drift.base import Change, Coincidence


def changed_then(change: Change, most: int) -> str:
    """The sentence, empty if nothing is known to have changed.

    Args:
        change: whatever it holds.
        most: how many values to name.
    """
    told = change.coincidences
    values = {one.value for one in told}
    others = [
        f"{clean(c.attribute)} {clean(c.value)} (new)" for c in change.carriers if c.is_new and c.value not in values
    ]
    words = [*(coincidence_words(one) for one in told[:most]), *others][:most]
    if not words:
        return ""
    more = len(told) + len(others) - len(words)
    rest = f"; and {more} more" if more > 0 else ""
    return f"Changed then, which need not be the cause: {'; '.join(words)}{rest}."


def coincidence_words(one: Coincidence) -> str:
    """What became of a value.

    >>> coincidence_words(Coincidence("tool", "search", "less", 0.5, 0.1, None))
    'tool search (in 10% of the traffic, before in 50%)'
    """
    name = named(one)
    before, after = _percent(one.before), _percent(one.after)
    if one.how == "new":
        seen = f", first seen {minute(one.at_ns)}" if one.at_ns is not None else ""
        return f"{name} (new, in {after} of the traffic{seen})"
    if one.how == "gone":
        seen = f", last seen {minute(one.at_ns)}" if one.at_ns is not None else ""
        return f"{name} (gone, was in {before} of the traffic{seen})"
    return f"{name} (in {after} of the traffic, before in {before})"


def named(one: Coincidence) -> str:
    """The value with its kind, for people."""
    return f"{kind_words(one.kind)} {clean(one.value)}"


def kind_words(kind: str) -> str:
    """A kind of coincidence for people.

    >>> kind_words("answering_model"), kind_words("sampling")
    ('answering model', 'sampling rate')
    """
    if kind == "sampling":
        return "sampling rate"
    return KINDS[kind][0] if kind in KINDS else clean(kind)


def _percent(part: float) -> str:
    """
    >>> _percent(0.004), _percent(0.996), _percent(1.0)
    ('under 1%', 'over 99%', '100%')
    """
    if 0 < part < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < part < 1 else f"{100 * part:.0f}%"
