"""Sessions with turns that no evaluation has seen yet: what the stage `session` holds, and what it has yet to read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.core.engine import MOVED_KIND, STRAY_KIND, TURNS, Entry
from collector.sessions import Gathered, gathered_in, moved_in
from collector.turns import Told, decode_turn
from driftline.config import Config
from driftline.store_reading import read_log, read_state


@dataclass(frozen=True, slots=True)
class PendingSession:
    """A session that waits. `turns` are the ids of its traces, the first first; `evaluated` says whether it has been
    scored before, without the newest of them; `ended_ns` is the end of the last one."""

    session_id: str
    service: str
    tenant: str
    turns: tuple[str, ...]
    ended_ns: int
    evaluated: bool


def pending_sessions(config: Config) -> list[PendingSession]:
    """All that wait now, in order of their ends.

    Raises:
        StoreError: the store cannot be read.
    """
    held: dict[bytes, Gathered] = {}
    for head, turns in gathered_in(read_state(config, "session")):
        _put(held, head, turns)
    for moved, turns in _unread(read_log(config, TURNS, "session")):
        _put(held, moved, turns)
    waiting = [_pending(one) for one in held.values() if one.fresh and one.turns]
    return sorted(waiting, key=lambda one: (one.ended_ns, one.service, one.session_id))


def _unread(entries: Iterable[Entry]) -> Iterator[tuple[Gathered, list[Told]]]:
    for entry in entries:
        try:
            if entry.kind == MOVED_KIND:
                yield moved_in(entry.value)
            elif entry.kind in ("", STRAY_KIND):
                told = decode_turn(entry.value)
                yield Gathered(told.key, id="", place=0), [told]
        except ValueError:
            continue  # the service counts it


def _put(held: dict[bytes, Gathered], found: Gathered, turns: Iterable[Told]) -> None:
    known = held.setdefault(found.key, found)
    known.fresh |= found.fresh
    known.revision = max(known.revision, found.revision)
    known.turns.update((told.turn.trace_id, told) for told in turns)


def _pending(one: Gathered) -> PendingSession:
    in_order = sorted(one.turns.values(), key=lambda told: (told.turn.start_ns, told.turn.trace_id))
    first = in_order[0]
    ids = tuple(told.turn.trace_id for told in in_order)
    return PendingSession(first.session_id, first.service, first.tenant, ids, one.last_end_ns, one.revision >= 0)
