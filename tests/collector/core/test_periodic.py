"""Something that is done every now and then."""

import threading

from collector.core.periodic import Periodic


def test_it_is_done_again_and_again_until_it_is_stopped() -> None:
    done, often = list[int](), threading.Event()

    def action() -> None:
        done.append(len(done))
        if len(done) == 3:
            often.set()

    one = Periodic("test", 0.001, action)
    one.start()
    assert often.wait(10)
    assert one.stop()
    count = len(done)
    assert not one.stop()
    assert len(done) == count


def test_one_that_never_started_can_be_stopped() -> None:
    assert not Periodic("test", 1.0, lambda: None).stop()
