"""`pycimom`: the CIM server with the Xen providers, as a daemon; `pycimom mof` adds classes to it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence

from netserve.doors import Door
from pycimom.indications.destinations import DestinationPolicy
from pycimom.instance_store import StoreError
from pycimom.mof_source import MofError
from pycimom.repository_cache import open_repository
from pycimom.server import CimServer, Registration, Settings
from xen_providers.access import XenApiAuthenticator
from xen_providers.provider import XenProvider
from xen_tools import daemon, options, schema
from xen_tools.configuration.problems import SettingsError
from xen_tools.configuration.pycimom import Pycimom
from xen_tools.errors import CommandError
from xen_tools.options import Told

NAMES = ("cim-http", "cim-https")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon, or the subcommand ``mof``; return the exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == "mof":
        from xen_tools import mof  # not needed by the daemon

        return mof.main(words[1:])
    parser = argparse.ArgumentParser(
        prog="pycimom",
        description="A CIM server for Xen pools.",
        epilog="`pycimom mof compile --help` says how to add classes of your own.",
    )
    parser.add_argument("--state", type=daemon.folder, help="folder of what must outlive the daemon")
    parser.add_argument("--schema", type=daemon.folder, help="zip file of the DMTF CIM schema")
    parser.add_argument("--cache", type=daemon.folder, help="folder of the compiled schema")
    parser.add_argument("--xen-api", metavar="URL", help="where the pool is read from")
    parser.add_argument("--passwords", metavar="URL", help="the Xen-API door that checks passwords")
    parser.add_argument("--ca", type=daemon.folder, help="certificates to verify the Xen-API with, if it speaks TLS")
    parser.add_argument("--tls", type=daemon.folder, help="folder of key.pem and certificate.pem")
    options.add_arguments(parser, http=5988, https=5989)
    daemon.add_arguments(parser)
    arguments = options.parse(parser, words)
    known = (CommandError, MofError, SettingsError, StoreError)
    return daemon.run("pycimom", lambda: _Bridge(arguments), arguments, known)


class _Bridge:
    """The CIM server with what recognises its users, and the settings that it was started with."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._told = Told("pycimom", Pycimom, arguments, NAMES)
        settings = self._told.read()
        self._authenticator = XenApiAuthenticator(settings.passwords, service=settings.xen_api, ca_file=settings.ca)
        self._server = CimServer(
            _settings(settings, self._told.doors(settings), self._authenticator),
            [Registration(XenProvider(settings.xen_api, ca_file=settings.ca))],
            self._authenticator,
        )

    @property
    def doors(self) -> Sequence[Door]:
        """The open doors."""
        return self._server.doors

    async def start(self) -> None:
        """Serve."""
        await self._authenticator.start()
        await self._server.start()

    async def failed(self) -> Exception:
        """Wait for ever: nothing that happens while it serves ends a CIM server."""
        forever: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        return await forever

    async def stop(self) -> None:
        """End."""
        await self._server.stop()
        await self._authenticator.stop()

    async def reload(self) -> None:
        """Open the doors that the settings ask for now."""
        await self._told.reload(self._server.reopen)


def _settings(settings: Pycimom, doors: Sequence[Door], authenticator: XenApiAuthenticator) -> Settings:
    cache = settings.cache
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the line that says that all doors are open
        archive = schema.obtain(cache, settings.schema)
    return Settings(
        open_repository(archive, schema.model_files(), cache, whole_schema=schema.is_whole(cache)),
        doors,
        state=settings.state,
        delivery=settings.delivery,
        destinations=DestinationPolicy(settings.indications.destinations),
        may_read=authenticator.may_read,
        gzip=settings.gzip,
        **settings.server_limits,
    )


if __name__ == "__main__":
    sys.exit(main())
