"""What the daemons' commands share: options, event loop, signals, and the line that says that all doors are open."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
import uvloop

from netserve import logs
from netserve.doors import Door

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Server(Protocol):
    """What a daemon runs."""

    @property
    def doors(self) -> Sequence[Door]:
        """The doors, with their real ports once the server has started."""

    async def start(self) -> None:
        """Open all doors."""

    async def failed(self) -> Exception:
        """Wait until the server can no longer go on, and return why."""

    async def stop(self) -> None:
        """Close them and end everything."""

    async def reload(self) -> None:
        """Read the settings again, as SIGHUP asks; whatever is wrong with them is logged and changes nothing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that all daemons have."""
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info", help="least level of what is logged")
    parser.add_argument("--log-json", action="store_true", help="log as JSON lines")
    parser.add_argument(
        "--until-end-of-input",
        action="store_true",
        help="stop when standard input, a pipe, ends; so no daemon outlives the process that started it",
    )


def port(text: str) -> int:
    """Return a TCP port from the command line; 0 means any free one."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def folder(text: str) -> Path:
    """Return an absolute path from the command line."""
    return Path(text).expanduser().absolute()


def run(
    name: str, make: Callable[[], Server], arguments: argparse.Namespace, known: tuple[type[Exception], ...]
) -> int:
    """Run a server until a signal stops it; return the exit code.

    Exceptions of the types ``known``, and OSError, are told in one line. ``make`` is called in the event loop.
    """
    logs.configure(arguments.log_level, json=arguments.log_json)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    expected: tuple[type[Exception], ...] = (*known, OSError)
    # A big pool is millions of objects that live long: the collector's defaults would walk them again and again.
    gc.set_threshold(100_000, 50, 1000)
    try:
        uvloop.run(_serve(make, arguments.until_end_of_input))
    except expected as error:
        for line in str(error).splitlines():
            print(f"{name}: {line}", file=sys.stderr)
        return 1
    return 0


async def _serve(make: Callable[[], Server], until_end_of_input: bool) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, asked.set)
    if until_end_of_input:
        loop.add_reader(sys.stdin.fileno(), _drop_input, stopped)
    server = make()
    stopping = asyncio.create_task(stopped.wait())
    reloading: asyncio.Task[None] | None = None
    try:
        if await _first(stopping, server.start()) is None:
            return
        print(json.dumps({"ready": True, "doors": {each.name: each.url for each in server.doors}}), flush=True)
        reloading = asyncio.create_task(_reload_when_asked(server, asked))
        failure = await _first(stopping, server.failed())
        if failure is not None:
            raise failure.result()
    finally:
        log.info("daemon.stopping")
        if reloading is not None:
            reloading.cancel()
        await server.stop()
        stopping.cancel()


async def _first(stopping: asyncio.Task[Any], work: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
    """Return the work, done and without exception, or None if it was time to stop first."""
    working = asyncio.create_task(work)
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        working.result()
        return working
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return None


async def _reload_when_asked(server: Server, asked: asyncio.Event) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await server.reload()
        except Exception:
            log.exception("settings.not_read")


def _drop_input(stopped: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stopped.set()
