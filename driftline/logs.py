"""Log lines redacted as they are written, whoever wrote them: an exception's message may hold what a trace held.

Such a message may hold lines and control characters too, and must neither pass for an entry of the log nor steer the
terminal that shows it.
"""

import logging
from collections.abc import Iterable

from collector.core.printable import entry
from collector.redaction.redactor import Redactor


class RedactingFormatter(logging.Formatter):
    """Formats a record as another formatter does, and redacts the whole of it, tracebacks too.

    Only the first line of a record begins at the left; the others are indented.
    """

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner, self._redactor = inner, redactor

    def format(self, record: logging.LogRecord) -> str:
        return entry(self._redactor.text(self._inner.format(record)))


def redact_logs(redactor: Redactor, handlers: Iterable[logging.Handler] | None = None) -> None:
    """From now on, everything that handlers write is redacted; those of the whole process, if none are named."""
    for handler in logging.getLogger().handlers if handlers is None else handlers:
        inner = handler.formatter or logging.Formatter()
        if not isinstance(inner, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(inner, redactor))
