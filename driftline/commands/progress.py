"""How far a copy is, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress


@contextmanager
def copying(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to tell what is done, of how much; it shows both on standard error, if that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("copying")

        def show(done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole)

        yield show
