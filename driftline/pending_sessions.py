"""Sessions with turns that no evaluation has seen yet: what the stage `session` holds, and what it has yet to read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from collector.assemble_config import AssembleConfig
from collector.core.engine import MOVED_KIND, STRAY_KIND, TURNS, Entry
from collector.sessions import Gathered, due_ns, gathered_in, moved_in
from collector.turns import Told, decode_turn
from driftline.config import Config
from driftline.store_reading import read_log, read_state


@dataclass(frozen=True, slots=True)
class PendingSession:
    """A session that waits. `turns` are the ids of its traces, the first first; `started_ns` and `ended_ns` are the
    start of the first and the end of the last; `due_ns` is the event time at which it is evaluated if no more come;
    `evaluated` says whether it has been before, without the newest of them."""

    session_id: str
    service: str
    tenant: str
    turns: tuple[str, ...]
    started_ns: int
    ended_ns: int
    due_ns: int
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
    waiting = [_pending(one, config.assemble) for one in held.values() if one.fresh and one.turns]
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


def _pending(one: Gathered, assemble: AssembleConfig) -> PendingSession:
    in_order = sorted(one.turns.values(), key=lambda told: (told.turn.start_ns, told.turn.trace_id))
    first = in_order[0]
    due = due_ns(one, round(assemble.session_idle * 1e9), round(assemble.session_max_age * 1e9))
    return PendingSession(
        first.session_id,
        first.service,
        first.tenant,
        tuple(told.turn.trace_id for told in in_order),
        one.first_start_ns,
        one.last_end_ns,
        due + round(assemble.lateness * 1e9),
        one.revision >= 0,
    )
