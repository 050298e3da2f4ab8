"""Tries a scorer's call again where it fails in a way that may pass, as its author says: a busy service, a lost line.

The waits double, from 0.1 s on, each between half and one and a half of that: seeded by what is scored, so that a
replay waits alike and calls that failed together do not come back together. The scorer's timeout is over all tries.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from random import Random

from collector.core.model import Session, Trace
from scorers.base import Scorer

_FIRST_WAIT_SECONDS = 0.1


def with_retries(
    call: Callable[..., object], is_async: bool, scorer: Scorer, retried: Callable[[], None]
) -> Callable[..., object]:
    """`call`, tried again up to `scorer.retries` times where it raises one of `scorer.retry_on`.

    Args:
        retried: called before each try but the first.
    """

    def once(*subject: object) -> object:
        for wait in waits(scorer.retries, _seed(subject[-1])):
            try:
                return call(*subject)
            except scorer.retry_on:
                retried()
                time.sleep(wait)  # on the scorer's own thread
        return call(*subject)

    async def once_async(*subject: object) -> object:
        for wait in waits(scorer.retries, _seed(subject[-1])):
            try:
                return await _awaited(call(*subject))
            except scorer.retry_on:
                retried()
                await asyncio.sleep(wait)
        return await _awaited(call(*subject))

    return once_async if is_async else once


def waits(retries: int, seed: str) -> Iterator[float]:
    """Seconds before each further try."""
    random = Random(seed)
    for number in range(retries):
        yield _FIRST_WAIT_SECONDS * 2**number * (0.5 + random.random())


def _seed(subject: object) -> str:
    """Of a trace, which comes last, or a session."""
    return (
        subject.trace_id if isinstance(subject, Trace) else subject.session_id if isinstance(subject, Session) else ""
    )


async def _awaited(returned: object) -> object:
    return await returned if isinstance(returned, Awaitable) else returned
