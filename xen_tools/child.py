"""A daemon as the child of `xen-cim run`: started, watched, stopped; it ends when its parent does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from xen_tools.errors import CommandError

STOP_LIMIT = 15.0
"""Seconds that a daemon may take to stop before it is killed."""
LAST_LINES = 8
"""How much of the log of a dead daemon is shown."""
KEPT_ERROR = 16 * 1024
LOG_SIZE = 16 * 1024 * 1024
"""Bytes after which a log is begun anew; the one before is kept beside it."""
LOG_CHECKED = 5.0
"""Seconds between two looks at the size."""


class Child:
    """One daemon. Its standard input is a pipe that nobody writes to: however the parent ends, the pipe ends too."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.doors: Mapping[str, str] = {}
        """URL by the door's name."""
        self._process: asyncio.subprocess.Process | None = None
        self._bounding: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    async def start(self, arguments: Sequence[str]) -> None:
        """Start the daemon and wait until its doors are open; CommandError says what it said if it ends instead."""
        if self.log.exists():
            self.log.replace(self._last_log)
        with self.log.open("ab") as log:  # what is appended lands right after the log was cut as well
            self.log.chmod(0o600)
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"xen_tools.{self.name}",
                "--until-end-of-input",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C of the terminal is for the parent, which stops them in order
            )
        self._bounding = asyncio.create_task(self._bound_log())
        output = self._process.stdout
        line = await output.readline() if output else b""
        try:
            self.doors = json.loads(line)["doors"]
        except (ValueError, KeyError) as error:
            await self._process.wait()
            raise CommandError(self._last_words()) from error

    async def wait(self) -> str:
        """Wait until the daemon ends, and return what its log says last."""
        code = await self._process.wait() if self._process else None
        lines = self._tail()
        return f"{self.name} ended with exit code {code}; the end of its log {self.log}:\n" + "\n".join(lines)

    async def stop(self) -> None:
        """Ask the daemon to stop, and kill it if it does not."""
        if self._bounding is not None:
            self._bounding.cancel()
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_LIMIT)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def _last_log(self) -> Path:
        return self.log.with_suffix(".log.1")

    async def _bound_log(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECKED)
            await asyncio.to_thread(self._cut_log)

    def _cut_log(self) -> None:
        """Begin the log anew if it has grown too long. The daemon keeps its file: it is copied, then emptied."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size <= LOG_SIZE:
                return
            with contextlib.suppress(OSError):  # a full disk needs the space more than the copy
                shutil.copy2(self.log, self._last_log)
            os.truncate(self.log, 0)

    def _tail(self) -> list[str]:
        text = self.log.read_bytes()[-KEPT_ERROR:].decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-LAST_LINES:]

    def _last_words(self) -> str:
        """Return the line in which the daemon said why it cannot start."""
        lines = self._tail()
        said = [line.removeprefix(f"{self.name}: ") for line in lines if line.startswith(f"{self.name}: ")]
        if said:
            return said[-1]
        return f"{self.name} could not start; its log is {self.log}" + (f": {lines[-1]}" if lines else ".")
