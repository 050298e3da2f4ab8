"""A disk that is full for a while: what was not written is told so, what was acknowledged stays, and it goes on."""

import subprocess
import sys
from pathlib import Path

from collector.core.engine import SCORES, SPANS
from tests.collector.engines.stores import opened, rows, subscribe

ROOT = Path(__file__).parents[3]

# Files may grow to so many bytes, which is as good as a disk of that size; Python has SIGXFSZ ignored.
_PROGRAM = """
import resource, sys
from pathlib import Path
from collector.core.engine import SCORES, SPANS, Record
from collector.core.errors import StoreError
from tests.collector.engines.stores import append, engine, subscribe

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

under = engine(Path(sys.argv[1]))
subscription, partition, _ = subscribe(under)
done = 0
for number in range(400):
    if number % 100 == 50:
        limit(100_000 + 777 * number)
    if number % 100 == 99:
        limit(resource.RLIM_INFINITY)
    transaction = partition.transaction()
    transaction.append(SCORES, [Record(b"%d" % number)])
    transaction.put("last", b"%d" % number)
    transaction.offset(number // 2)  # what is consumed is let go of
    for what in ("spans", "scores"):
        try:
            append(under, b"%d " % number + bytes(5000)) if what == "spans" else transaction.commit()
        except StoreError as error:
            print("refused", what, number, str(error).partition("cannot be written: ")[2], sep=";")
        else:
            print("safe", what, number, "", sep=";")
subscription.close()
under.close()
"""


def test_a_disk_that_is_full_for_a_while_costs_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    told = [line.split(";") for line in ended.stdout.splitlines()]
    refused = [(what, int(number)) for word, what, number, _ in told if word == "refused"]
    assert {number // 100 for _, number in refused} == {0, 1, 2, 3}, "it was full four times"
    assert {what for what, _ in refused} == {"spans", "scores"}
    assert {why for word, *_, why in told if word == "refused"} <= {"disk I/O error", "database or disk is full"}
    safe = {log: [int(n) for word, what, n, _ in told if (word, what) == ("safe", log)] for log in (SPANS, SCORES)}
    with opened(tmp_path) as under:
        ((state, position),) = rows(under.path, "SELECT value, next_offset FROM state, stages")
        assert int(state) == safe[SCORES][-1] == 399
        assert position == 199
        subscription, _, _ = subscribe(under, "again")
        subscription.close()
        for log in (SPANS, SCORES):
            subscription, _, entries = subscribe(under, f"again {log}", log, 1000)
            found = [int(entry.value.split()[0]) for entry in entries]
            subscription.close()
            assert set(safe[log][-5:]) <= set(found)
            assert found == [number for number in safe[log] if number >= found[0]], "each once, in order, and no other"
        assert rows(under.path, "PRAGMA integrity_check") == [("ok",)]
