"""What a detector must do to be watched with, and the default detector over many streams at once, for simulations.

def test_mine() -> None:
    check_detector(MyDetector)
"""

from collections.abc import Callable
from functools import partial
from math import inf, isnan, nan
from random import Random
from typing import Any

from drift.base import Detector, Direction

_LENGTH = 3000
_WARMUP = 500


def check_detector(make: Callable[..., Detector]) -> None:
    """Raise AssertionError unless what `make(direction=...)` gives keeps the contract of `drift.base.Detector`."""
    for direction in ("down", "up", "both"):
        _finds_a_large_shift(make(direction=direction), "up" if direction == "up" else "down")
    _leaves_the_other_side_alone(make)
    _continues_after_restore(make)
    _takes_back_what_it_staked(make)
    _refuses_foreign_state(make)
    _refuses_what_is_no_point(make)
    _stands_constant_streams(make)


def stream(seed: int, before: float, after: float, change_at: int, length: int) -> list[float]:
    """Passes and failures whose rate changes at a point."""
    rng = Random(seed)
    return [float(rng.random() < (before if i < change_at else after)) for i in range(length)]


def run(detector: Detector, values: list[float]) -> int | None:
    """The index at which the detector first says change, or None."""
    for i, x in enumerate(values):
        detector.update(x)
        if detector.change is not None:
            return i
    return None


def _finds_a_large_shift(detector: Detector, shift: str) -> None:
    before, after = (0.9, 0.3) if shift == "down" else (0.3, 0.9)
    detector.warmup(stream(1, before, before, 0, _WARMUP))
    assert detector.evidence < detector.threshold, "a change right after the warm-up"
    found = run(detector, stream(2, before, after, 1000, _LENGTH))
    assert found is not None, f"a {shift} shift of .6 was not found"
    assert found >= 1000, f"a change at point {found}, before there was one"
    assert detector.change is not None
    assert detector.change.direction == shift, f"the shift went {shift}, the detector says {detector.change.direction}"
    assert detector.evidence >= detector.threshold, "a change with evidence below the threshold"


def _leaves_the_other_side_alone(make: Callable[..., Detector]) -> None:
    detector = make(direction="down")
    detector.warmup(stream(3, 0.5, 0.5, 0, _WARMUP))
    assert run(detector, stream(4, 0.5, 0.95, 300, 1500)) is None, "an improvement was reported by a detector of drops"


def _continues_after_restore(make: Callable[..., Detector]) -> None:
    rng = Random(5)
    first = make(direction="both")
    first.warmup([rng.random() for _ in range(_WARMUP)])
    for _ in range(2):
        second = make(direction="both")
        second.restore(first.state())
        assert second.state() == first.state(), "state of a restored detector differs"
        for _ in range(700):
            x, weight = rng.random(), 1.0 / rng.uniform(0.2, 1.0)
            first.update(x, weight)
            second.update(x, weight)
            assert first.evidence == second.evidence, "a restored detector went on differently"
            assert (first.change is None) == (second.change is None)


def _takes_back_what_it_staked(make: Callable[..., Detector]) -> None:
    detector = make(direction="down")
    if not detector.budgeted:
        return
    detector.warmup(stream(6, 0.9, 0.9, 0, _WARMUP))
    run(detector, stream(7, 0.9, 0.3, 0, _LENGTH))
    detector.clear()
    assert detector.evidence == 0.0, "evidence is left of what was taken back"
    assert run(detector, stream(8, 0.9, 0.1, 0, _LENGTH)) is not None, "nothing is found after stakes were taken back"


def _refuses_foreign_state(make: Callable[..., Detector]) -> None:
    detector = make(direction="down")
    detector.warmup(stream(6, 0.8, 0.8, 0, _WARMUP))
    good = detector.state()
    version = 2
    newer = good[:version] + bytes([good[version] + 1]) + good[version + 1 :]
    for bad in (b"", b"\x00" * len(good), good[:-1], good + b"\x00", newer, b"\xff" * 40):
        _must_raise(partial(detector.restore, bad), "a foreign state was taken")
    assert detector.state() == good, "a refused state left traces"


def _refuses_what_is_no_point(make: Callable[..., Detector]) -> None:
    detector = make(direction="down")
    detector.warmup(stream(7, 0.8, 0.8, 0, _WARMUP))
    good = detector.state()
    for x, weight in ((nan, 1.0), (inf, 1.0), (-0.1, 1.0), (1.1, 1.0), (0.5, 0.0), (0.5, -1.0), (0.5, nan), (0.5, inf)):
        _must_raise(partial(detector.update, x, weight), f"x={x}, weight={weight} was taken")
    _must_raise(lambda: detector.warmup([0.5, nan]), "a warm-up with NaN was taken")
    assert detector.state() == good, "a refused point left traces"


def _stands_constant_streams(make: Callable[..., Detector]) -> None:
    for value in (0.0, 1.0, 0.5):
        detector = make(direction="both")
        detector.warmup([value] * _WARMUP)
        assert run(detector, [value] * 2000) is None, f"a constant stream of {value} was called a change"
        assert not isnan(detector.evidence)


def _must_raise(action: Callable[[], object], complaint: str) -> None:
    try:
        action()
    except ValueError:
        return
    raise AssertionError(complaint)


def mean_evidence(warmups: Any, streams: Any, direction: Direction = "down", **options: Any) -> Any:
    """What `MeanDetector` does without a season, for many streams at once.

    Args:
        warmups: array (streams, points) for the warm-up.
        streams: array (streams, points) to watch.
        direction: as for the detector.
        **options: `dependent` (default True), `weights` and `starts` (arrays like `streams`; weights are capped at 1).

    Returns:
        Array like `streams`: the evidence after each point.
    """
    import numpy as np

    from drift.bank import MeanBank

    bank = MeanBank(len(streams), direction, dependent=options.get("dependent", True))
    bank.warmup(warmups)
    weights, starts = options.get("weights"), options.get("starts")
    evidence = np.empty(streams.shape)
    for t in range(streams.shape[1]):
        weight = 1.0 if weights is None else weights[:, t]
        start = 1.0 if starts is None else starts[:, t]
        bank.update(streams[:, t], weight, start)
        evidence[:, t] = bank.evidence
    return evidence


def rounds_found(warmups: Any, streams: Any, changed: Any, stake: float, lasts: int) -> tuple[list[list[bool]], Any]:
    """What is found of many series under one budget, by `drift.rounds`.

    Args:
        warmups: array (series, points) for the warm-up.
        streams: array (series, points) to watch.
        changed: from which point of `streams` on each series is other than before; never, if past its end.
        stake: start mass of all series together for each point.
        lasts: points that a round lasts; 0 to ask a whole unit of evidence of every series, as if there were no others.

    Returns:
        Of each round (of each single change if `lasts` is 0), whether what it found is false; and for each series the
        point at which it was first found since it changed, -1 if it was not.
    """
    import numpy as np

    from drift.bank import MeanBank
    from drift.rounds import discoveries

    bank = MeanBank(len(streams), "down", dependent=False)
    bank.warmup(warmups)
    rounds: list[tuple[int, list[bool]]] = []  # each with its start, and whether what it found was false
    first = np.full(len(streams), -1)
    for t in range(streams.shape[1]):
        bank.update(streams[:, t], starts=stake / len(streams))
        order = np.argsort(-bank.evidence)[:64]
        evidence = [float(one) for one in bank.evidence[order]]
        current = rounds[-1][1] if rounds and t - rounds[-1][0] < lasts else []
        count = discoveries(evidence, len(current)) if lasts else sum(one >= 1.0 for one in evidence)
        for one in order[:count]:
            if not current:
                rounds.append((t, current))
            current.append(bool(t < changed[one]))
            if t >= changed[one] and first[one] < 0:
                first[one] = t
            if not lasts:
                current = []
        if count:
            bank.clear(order[:count])
    return [found for _, found in rounds], first
