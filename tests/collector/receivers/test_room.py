"""Memory that requests share: never more than there is, first come first served, nothing lost by who gives up."""

import asyncio
from random import Random

import pytest

from collector.receivers.room import Room


async def turns() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_finds_no_room_waits_in_the_order_of_arrival() -> None:
    async def run() -> None:
        room, told = Room(10), list[str]()

        async def take(name: str, size: int) -> None:
            assert await room.take(size) == size
            told.append(name)

        await take("first", 8)
        waiting = [asyncio.create_task(take(name, size)) for name, size in (("long", 9), ("short", 2))]
        await turns()
        assert told == ["first"], "the short one would fit, but came later"
        room.give(8)
        await turns()
        assert told == ["first", "long"]
        room.give(9)
        await asyncio.gather(*waiting)
        assert told == ["first", "long", "short"]

    asyncio.run(run())


def test_who_wants_more_than_there_is_gets_all_of_it() -> None:
    async def run() -> None:
        room = Room(10)
        assert await room.take(50) == 10
        room.give(10)
        assert await room.take(3) == 3

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(20))
def test_whoever_gives_up_when_there_is_never_more_taken_than_there_is_and_none_is_lost(seed: int) -> None:
    async def run() -> None:
        rng, room, held = Random(seed), Room(100), 0

        async def one(size: int) -> None:
            nonlocal held
            taken = await room.take(size)
            held += taken
            assert held <= 100
            try:
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                held -= taken
                room.give(taken)

        tasks = [asyncio.create_task(one(rng.randrange(1, 150))) for _ in range(200)]
        while not all(task.done() for task in tasks):
            rng.choice(tasks).cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.wait_for(room.take(100), 5) == 100

    asyncio.run(run())
