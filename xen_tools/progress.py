"""How far long work is: a bar on a terminal, elsewhere a line every quarter."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Report = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@contextlib.contextmanager
def progress(title: str) -> Iterator[Report]:
    """Yield whom to tell how far the work of a title is."""
    console = Console()
    if not console.is_terminal:
        yield _QuarterLines(title)
        return
    columns = (TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = None

        def report(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task(title, total=total)
            bar.update(task, completed=done)

        yield report


class _QuarterLines:
    """Says how far it is in plain lines."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._said = -1

    def __call__(self, done: int, total: int) -> None:
        quarter = 4 * done // total
        if quarter > self._said:
            self._said = quarter
            print(f"{self._title}: {25 * quarter} %", flush=True)
