"""Files appear whole; what is no file stays what it is."""

import os
import stat
import threading
from pathlib import Path

import pytest

from driftline.export.files import appearing


def test_a_file_is_there_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with appearing(path) as out:
        out.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with pytest.raises(ZeroDivisionError):
        _give_up(path)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


def _give_up(path: Path) -> None:
    with appearing(path) as out:
        out.write(b"half")
        raise ZeroDivisionError


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path: Path) -> None:
    """As /dev/null does: replaced by a file, everything else on the machine would suffer."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    with appearing(path) as out:
        out.write(b"new")
    reader.join(10)
    assert got == [b"new"]
    assert stat.S_ISFIFO(path.stat().st_mode)
