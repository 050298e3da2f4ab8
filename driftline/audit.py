"""The audit log as a file: what `collector.core.audit` tells, appended and on disk before anything goes on.

Each line is written by opening the file, so that a command beside the service may append too, and `logrotate` may move
it. Its own bound is `max_size` and `keep`.
"""

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from collector.core.audit import AUDIT
from collector.core.errors import UserError
from collector.core.settings import Settings, Size
from driftline.control import user_name

_MOST_KEYS = 100

_log = logging.getLogger("driftline.audit_file")  # not that of the audit: a failure to write must not be written


class AuditConfig(Settings):
    """Where to keep the audit log, besides the log of the service."""

    path: Path | None = Field(None, description="file that lines are appended to; null: none")
    max_size: Size = Field(10 * 2**20, ge=1024, description="past it the file becomes PATH.1, that one PATH.2, ...")
    keep: int = Field(10, ge=1, le=1000, description="files set aside; the oldest is deleted")


class AuditFile(logging.Handler):
    """Appends each line with a write of its own, and returns when it is on disk; readable by the owner only."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        super().__init__()
        self._path, self._max_bytes, self._keep = path, max_bytes, keep

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.getMessage()}\n".encode()
        try:
            descriptor = self._open(len(line))
            try:
                _append(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.error("audit.path: %s cannot be written, the line is in this log only: %s", self._path, error.strerror)

    def check(self) -> None:
        """Raises UserError if it cannot be written."""
        try:
            os.close(self._open(0))
        except OSError as error:
            raise UserError(f"audit.path: {self._path} cannot be written: {error.strerror}") from None

    def _open(self, more: int) -> int:
        """The file with room in it, locked against another process until it is closed."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == found.st_ino:
                    if found.st_size == 0 or found.st_size + more <= self._max_bytes:
                        return descriptor
                    self._set_aside()
            os.close(descriptor)  # it is another file now

    def _set_aside(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _append(descriptor: int, line: bytes) -> None:
    """A line of its own, even if what was there ends within one: the disk was full, or the power gone.

    Raises:
        OSError: it is not there as a whole.
    """
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def auditing(config: AuditConfig) -> Iterator[None]:
    """Within this, what is audited goes to the file, if one is configured.

    Raises:
        UserError: the file cannot be written.
    """
    AUDIT.setLevel(logging.INFO)
    if config.path is None:
        yield
        return
    file = AuditFile(config.path, config.max_size, config.keep)
    file.check()
    AUDIT.addHandler(file)
    try:
        yield
    finally:
        AUDIT.removeHandler(file)


def user() -> str:
    """Who runs this process, by name or else by number."""
    return user_name(os.getuid())


def changed_keys(old: object, new: object, path: str = "") -> list[str]:
    """The keys of the configuration that differ, never their values; of a list whose length differs, the list.

    >>> changed_keys({"a": 1, "b": [1]}, {"a": 2, "b": [1, 2]})
    ['a', 'b']
    """
    if old == new:
        return []
    before, after, below = _parts(old), _parts(new), list[str]()
    if before is None or after is None or (isinstance(old, Sequence) and len(before) != len(after)):
        return [path]
    for name in {**before, **after}:
        inner = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}" if path else name
        below += changed_keys(before[name], after[name], inner) if name in before and name in after else [inner]
    return (below or [path])[:_MOST_KEYS]


def _parts(value: object) -> dict[str | int, object] | None:
    """What there is below a key; None if it has a value of its own."""
    if isinstance(value, BaseModel):
        return {**dict(value)}
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return dict(enumerate(value))
    return None
