"""What a store is to the tests of exports, and what they look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.core.engine import Entry
from driftline.config import Config, load_config


@dataclass(frozen=True)
class Store:
    """Where it is, and what its logs hold."""

    config_path: Path
    decisions: list[Entry]
    changes: list[Entry]

    @property
    def config(self) -> Config:
        return load_config(self.config_path, {})


def tree(folder: Path) -> dict[str, Any]:
    """All files below a folder with what they hold."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
