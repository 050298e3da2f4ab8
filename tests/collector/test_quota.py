"""Quotas: each class of traces has its own, and there are only so many classes."""

import random
from collections import Counter

import pytest

from collector.core.frequency import Frequency
from collector.quota import MOST_CLASSES, Allowances
from collector.sample import QuotaConfig

SECOND = 10**9
HOUR = 3600 * SECOND
START = 1_760_054_400 * SECOND


def allowances(at_most: str = "100 per hour", by: tuple[str, ...] = ("service",)) -> Allowances:
    return Allowances({}, QuotaConfig.model_validate({"by": by, "at_most": at_most}))


def spend(of: Allowances, at_ns: int, service: str, rule: str = "sample.rate") -> bool:
    return of.of_class({"service": service}, rule).spend(at_ns)


def test_what_is_common_takes_nothing_from_what_is_rare() -> None:
    of, chance, found = allowances(), random.Random(1), Counter[str]()
    for second in range(3600):
        for service, share in (("busy", 1.0), ("rare", 0.01)):
            at_ns = START + second * SECOND
            if chance.random() < share:
                step = of.of_class({"service": service}, "sample.rate").step(at_ns)
                found[service] += chance.random() < 2 ** (-step / 8) and spend(of, at_ns, service)
    assert 85 <= found["busy"] <= 100
    assert 20 <= found["rare"] <= 60  # all of them


def test_what_a_keep_rule_chose_has_a_quota_of_its_own() -> None:
    of = allowances("1 per hour")
    assert spend(of, START, "shop")
    assert not spend(of, START, "shop")
    assert spend(of, START, "shop", "sample.keep[0]")


def test_there_is_one_quota_where_no_slice_divides() -> None:
    of = allowances("1 per hour", by=())
    assert spend(of, START, "shop")
    assert not spend(of, START, "desk")


def test_classes_beyond_the_most_share_one_and_get_their_own_in_the_next_period() -> None:
    of = allowances("1 per hour")
    of.now_ns = START
    assert all(spend(of, START, str(number)) for number in range(MOST_CLASSES))
    assert spend(of, START, "one too many")
    assert not spend(of, START, "another")
    of.now_ns = START + HOUR
    assert spend(of, of.now_ns, "another")
    changes = of.take_changes()
    assert len([key for key, value in changes.items() if value is not None]) <= MOST_CLASSES + 1
    assert None in changes.values()


def test_what_was_kept_goes_on_and_what_was_dropped_stays_away() -> None:
    kept: dict[str, bytes] = {}
    of = allowances("2 per hour")
    of.share(1, 2)
    for number in range(MOST_CLASSES + 50):
        of.now_ns = START + number * 10 * SECOND
        spend(of, of.now_ns, str(number))
        for key, value in of.take_changes().items():
            if value is None:
                del kept[key]
            else:
                kept[key] = value
    again = allowances("2 per hour")
    again.load(kept)
    again.share(1, 2)
    again.now_ns = of.now_ns
    asked = [str(number) for number in (0, 500, MOST_CLASSES + 49, "new")]
    assert [spend(again, of.now_ns, name) for name in asked] == [spend(of, of.now_ns, name) for name in asked]


def test_without_a_quota_there_are_no_classes() -> None:
    with pytest.raises(ValueError, match="no quota"):
        Allowances({"one": Frequency(1, 60)}).of_class({}, "sample.rate")
