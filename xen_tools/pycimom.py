"""`pycimom`: the CIM server with the Xen providers, as a daemon; `pycimom mof` adds classes to it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from netserve import certificates
from netserve.doors import Door, Tls
from pycimom.instance_store import StoreError
from pycimom.mof_source import MofError
from pycimom.repository_cache import open_repository
from pycimom.server import CimServer, Registration, Settings
from xen_providers.access import XenApiAuthenticator
from xen_providers.provider import XenProvider
from xen_tools import daemon, schema

HTTP_PORT, HTTPS_PORT = 5988, 5989
"""What the DMTF registered for CIM-XML."""


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
    parser.add_argument("--state", type=daemon.folder, required=True, help="folder of what must outlive the daemon")
    parser.add_argument("--schema", type=daemon.folder, required=True, help="zip file of the DMTF CIM schema")
    parser.add_argument("--cache", type=daemon.folder, required=True, help="folder of the compiled schema")
    parser.add_argument("--xen-api", required=True, metavar="URL", help="where the pool is read from")
    parser.add_argument("--passwords", required=True, metavar="URL", help="the Xen-API door that checks passwords")
    parser.add_argument("--ca", type=daemon.folder, help="certificates to verify the Xen-API with, if it speaks TLS")
    parser.add_argument("--tls", type=daemon.folder, required=True, help="folder of key.pem and certificate.pem")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--http", type=daemon.port, default=HTTP_PORT, metavar="PORT", help="(default: %(default)s)")
    parser.add_argument("--https", type=daemon.port, default=HTTPS_PORT, metavar="PORT", help="(default: %(default)s)")
    daemon.add_arguments(parser)
    arguments = parser.parse_args(words)
    return daemon.run("pycimom", lambda: _Bridge(arguments), arguments, (MofError, StoreError))


class _Bridge:
    """The CIM server with what recognises its users."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        tls = certificates.ensure(arguments.tls)
        self._authenticator = XenApiAuthenticator(arguments.passwords, ca_file=arguments.ca)
        self._server = CimServer(
            _settings(arguments, tls),
            [Registration(XenProvider(arguments.xen_api, ca_file=arguments.ca))],
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


def _settings(arguments: argparse.Namespace, tls: Tls) -> Settings:
    cache: Path = arguments.cache
    return Settings(
        open_repository(arguments.schema, schema.model_files(), cache, whole_schema=schema.is_whole(cache)),
        [
            Door("cim-http", arguments.host, arguments.http, authentication="xen-api"),
            Door("cim-https", arguments.host, arguments.https, tls=tls, authentication="xen-api"),
        ],
        state=arguments.state,
    )


if __name__ == "__main__":
    sys.exit(main())
