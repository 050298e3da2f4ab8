"""Who was told of a change, when, and what came of it: the record that people look at afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from alerts.schedule import Kind

Outcome: TypeAlias = Literal["delivered", "retry", "split", "refused", "given_up", "held_back"]

MOST_DELIVERIES = 40  # of one change; a new outcome drops the oldest
_MESSAGE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Delivery:
    """One outcome, or several alike in a row.

    Attributes:
        notifier: who was to be told.
        kind: what was to be told.
        outcome: what came of it.
        reason: of a failure, from `alerts.base.REASONS`; empty for the rest.
        message: of a failure, for a person.
        first_ns: when it was so.
        last_ns: when it was last so.
        count: how often, in a row.
    """

    notifier: str
    kind: Kind
    outcome: Outcome
    reason: str
    message: str
    first_ns: int
    last_ns: int
    count: int = 1


def added(to: Sequence[Delivery], new: Delivery) -> tuple[Delivery, ...]:
    """The record with one more outcome. What repeats a notifier's last outcome is counted there."""
    new = replace(new, message=new.message[:_MESSAGE_CHARACTERS])
    place = next((at for at in reversed(range(len(to))) if to[at].notifier == new.notifier), None)
    if place is not None and _alike(to[place], new):
        longer = replace(to[place], message=new.message, last_ns=new.last_ns, count=to[place].count + new.count)
        return (*to[:place], longer, *to[place + 1 :])
    return (*to, new)[-MOST_DELIVERIES:]


def to_json(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    return [asdict(delivery) for delivery in deliveries]


def from_json(stored: Sequence[Mapping[str, Any]]) -> tuple[Delivery, ...]:
    """
    Raises:
        TypeError, ValueError: these are no deliveries.
    """
    found = tuple(Delivery(**fields) for fields in stored)
    for one in found:
        texts = (one.notifier, one.kind, one.outcome, one.reason, one.message)
        numbers = (one.first_ns, one.last_ns, one.count)
        if not all(type(text) is str for text in texts) or not all(type(number) is int for number in numbers):
            raise ValueError(f"no delivery: {one!r:.200}")
        if one.kind not in get_args(Kind) or one.outcome not in get_args(Outcome):
            raise ValueError(f"no delivery: {one!r:.200}")
    return found[-MOST_DELIVERIES:]


def _alike(one: Delivery, other: Delivery) -> bool:
    return (one.kind, one.outcome, one.reason) == (other.kind, other.outcome, other.reason)
