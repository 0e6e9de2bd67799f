"""A CIM server on a loop of its own, for clients that block, and for those that are processes of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from cim_provider import CimError, Principal, Status
from netserve.doors import Door
from pycimom.repository import Repository
from pycimom.server import CimServer, Registration, Settings

USER, PASSWORD = "alice", "secret"
"""The administrator."""
READER = "rita"
"""Another user with that password, who administers nothing."""


class TwoUsers:
    """Knows USER and READER by PASSWORD."""

    async def authenticate(self, user: str, password: str) -> Principal:
        if user not in (USER, READER) or password != PASSWORD:
            raise CimError(Status.ACCESS_DENIED, "The user or the password is wrong.")
        return Principal(user, may_administer=user == USER)


class WbemServer:
    """Runs from its making until ``stop``."""

    def __init__(self, repository: Repository, registrations: Sequence[Registration], **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        made = Settings(repository, [Door("http")], **settings)
        self.server = CimServer(made, registrations, TwoUsers())
        try:
            self._run(self.server.start())
        except BaseException:
            self._end_loop()
            raise
        self.url = self.server.doors[0].url

    def stop(self) -> None:
        """Stop the server, then its loop."""
        try:
            self._run(self.server.stop())
        finally:
            self._end_loop()

    def _run(self, work: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(30)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
