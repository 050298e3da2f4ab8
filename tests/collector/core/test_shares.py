"""Room shared by tenants: fair when it is full, lent out when it is not."""

import random
from collections import Counter

import pytest

from collector.core.errors import Overloaded
from collector.core.shares import Shares

LIMIT = 1_000_000


def filled(shares: Shares, tenant: bytes, size: int = 1000) -> int:
    """Take as much as there is; how much that was."""
    taken = 0
    while taken < 10 * LIMIT:
        try:
            shares.take({tenant: size})
        except Overloaded:
            break
        taken += size
    return taken


def test_where_there_are_no_tenants_all_may_be_used() -> None:
    assert filled(Shares(LIMIT, 5), b"") == pytest.approx(LIMIT, rel=0.01)


def test_one_tenant_alone_may_use_most_of_it_and_another_still_finds_room() -> None:
    shares = Shares(LIMIT, 5)
    assert filled(shares, b"noisy") == pytest.approx(0.8 * LIMIT, rel=0.01)
    with pytest.raises(Overloaded, match="of noisy wait") as refused:
        shares.take({b"noisy": 1})
    assert (refused.value.reason, refused.value.retry_after_seconds) == ("tenant_share", 5)
    shares.take({b"quiet": 100_000})
    assert filled(Shares(LIMIT, 5), b"quiet") > 0


def test_two_that_take_all_they_can_end_with_the_same() -> None:
    shares = Shares(LIMIT, 5)
    noisy, late = filled(shares, b"noisy"), 0
    for _ in range(2000):  # what waits is worked off, whoever it is of, and both send on
        shares.give({b"noisy": 500})
        noisy -= 500
        noisy += filled(shares, b"noisy", 500)
        late += filled(shares, b"late", 500)
    assert noisy == pytest.approx(4 / 9 * LIMIT, rel=0.02)
    assert late == pytest.approx(4 / 9 * LIMIT, rel=0.02)


def test_a_tenant_that_has_nothing_waiting_is_taken_as_long_as_there_is_any_room() -> None:
    shares = Shares(LIMIT, 5)
    for number in range(4):  # each after the other, while nothing is worked off
        filled(shares, b"noisy-%d" % number)
    assert shares.total_bytes <= LIMIT
    shares.take({b"quiet": 1})


def test_for_several_at_once_it_is_all_or_none() -> None:
    shares = Shares(LIMIT, 5)
    taken = filled(shares, b"noisy")
    with pytest.raises(Overloaded):
        shares.take({b"quiet": 10, b"noisy": 10})
    assert shares.total_bytes == taken


def test_what_is_given_back_is_free_again_and_the_total_is_always_the_sum() -> None:
    shares, used, draw = Shares(LIMIT, 5), Counter[bytes](), random.Random(7)
    for _ in range(5000):
        tenant, size = b"%d" % draw.randrange(5), draw.randrange(1, 50_000)
        if draw.random() < 0.5:
            try:
                shares.take({tenant: size})
                used[tenant] += size
            except Overloaded:
                pass
        else:
            size = min(size, used[tenant])
            shares.give({tenant: size})
            used[tenant] -= size
        assert shares.total_bytes == used.total()
    shares.reset({b"a": 3, b"": 4})
    assert shares.total_bytes == 7
    shares.give({b"a": 99, b"unknown": 5})  # more than was taken is never given
    assert shares.total_bytes == 4


def test_what_is_forced_counts_but_is_never_refused() -> None:
    shares = Shares(LIMIT, 5)
    shares.force({b"": 2 * LIMIT})
    shares.force({b"": 1})
    assert shares.total_bytes == 2 * LIMIT + 1
    with pytest.raises(Overloaded, match="bytes wait to be evaluated"):
        shares.take({b"a": 1})
