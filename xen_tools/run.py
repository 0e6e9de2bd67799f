"""`xen-cim run`: the whole bridge on a simulated pool, from nothing to `ready`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from netserve import certificates
from netserve.server import is_stale_socket
from xen_tools import probe, schema
from xen_tools.child import Child
from xen_tools.errors import CommandError
from xen_tools.greeting import greeting
from xen_tools.probe import Credentials
from xen_tools.settings import Settings
from xen_tools.state_folder import StateFolder
from xenapi_core.access.local import UsersFileError, read_users, set_password

PORTS = {"cim-http": 5988, "cim-https": 5989, "xenapi-http": 9363, "xenapi-https": 9367}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say where the settings are."""
    parser.epilog = "The settings are variables of the environment; docs/settings.md lists them."


def main(_: argparse.Namespace) -> int:
    """Run the bridge until Ctrl-C or SIGTERM; return the exit code."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    signal.signal(signal.SIGTERM, _stop_early)
    settings = Settings.read(os.environ)
    for warning in settings.warnings():
        print(f"Warning: {warning}", flush=True)
    state = StateFolder(settings.state)
    lock = state.open()
    try:
        _keep_foreign_socket(settings.socket, state)
        credentials = _credentials(settings, state)
        archive = schema.obtain(settings.cache, settings.schema)
        schema.compile_schema(archive, settings.cache)
        return asyncio.run(_Bridge(settings, state, credentials, archive).run())
    finally:
        os.close(lock)


def _stop_early(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _keep_foreign_socket(path: Path, state: StateFolder) -> None:
    """Refuse to replace a stale socket that may be somebody else's.

    Ours is one that the last start named, or one in a state folder that has run a xenapid before.
    """
    last = state.read_endpoints().get("urls", {}).get("xenapi-unix")
    left_here = path.is_relative_to(state.path) and state.state_of("xenapid").exists()
    ours = left_here or last == f"http+unix://{path}"
    if not ours and is_stale_socket(path):
        raise CommandError(f"A socket that nobody listens at is in the way: {path}; remove it or set XEN_CIM_SOCKET.")


def _credentials(settings: Settings, state: StateFolder) -> Credentials:
    """Return user and password; the Xen-API's file of users gets the hash."""
    try:
        password = state.password(settings.password)
        known = read_users(state.users_file).get(settings.user)
        if known is None or not known.password.matches(password):
            set_password(state.users_file, settings.user, password)
        certificate = certificates.ensure(state.tls).certificate
    except UsersFileError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"The state folder {state.path} cannot be written: {error}.") from error
    return Credentials(settings.user, password, certificate)


class _Bridge:
    """Both daemons."""

    def __init__(self, settings: Settings, state: StateFolder, credentials: Credentials, archive: Path) -> None:
        self._settings = settings
        self._state = state
        self._credentials = credentials
        self._archive = archive
        self._xenapid = Child("xenapid", state.log_of("xenapid"))
        self._pycimom = Child("pycimom", state.log_of("pycimom"))

    async def run(self) -> int:
        """Start both, say so, and wait for the end; the exit code."""
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        stopping = asyncio.create_task(stopped.wait())
        working = asyncio.create_task(self._start_and_watch())
        try:
            await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
        finally:
            for task in (working, stopping):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, CommandError):
                await working
            await self._pycimom.stop()
            await self._xenapid.stop()
        return 0

    async def _start_and_watch(self) -> None:
        await self._start()
        ends = [asyncio.create_task(each.wait()) for each in (self._xenapid, self._pycimom)]
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        raise CommandError("\n".join(each.result() for each in ended))

    async def _start(self) -> None:
        settings, state = self._settings, self._state
        print("Starting xenapid and pycimom ...", flush=True)
        await self._xenapid.start(
            [
                *("--state", str(state.state_of("xenapid")), "--users", str(state.users_file)),
                *("--tls", str(state.tls), "--socket", str(settings.socket)),
                *("--http", self._port("xenapi-http"), "--https", self._port("xenapi-https")),
                *("--hosts", str(settings.hosts), "--vms", str(settings.vms), "--seed", str(settings.seed)),
            ]
        )
        doors = self._xenapid.doors
        await self._pycimom.start(
            [
                *("--state", str(state.state_of("pycimom")), "--tls", str(state.tls)),
                *("--schema", str(self._archive), "--cache", str(settings.cache)),
                *("--xen-api", doors["xenapi-unix"], "--passwords", doors["xenapi-http"]),
                *("--http", self._port("cim-http"), "--https", self._port("cim-https")),
            ]
        )
        urls = {**self._pycimom.doors, **self._xenapid.doors}
        await probe.all_answer(urls, self._credentials)
        state.write_endpoints(
            {
                "urls": urls,
                "user": self._credentials.user,
                "password_file": str(state.password_file),
                "certificate": str(self._credentials.certificate),
                "pids": {each.name: each.pid for each in (self._xenapid, self._pycimom)},
            }
        )
        print(greeting(urls, self._credentials, state))
        print("ready", flush=True)

    def _port(self, door: str) -> str:
        return "0" if self._settings.free_ports else str(PORTS[door])
