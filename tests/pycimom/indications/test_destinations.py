"""Where indications may go."""

from __future__ import annotations

import pytest

from cim_provider import Status
from indication_rig import status_of
from pycimom.indications.destinations import DestinationPolicy


class TestWhoMayReceive:
    @staticmethod
    async def ask(url: str, peer: str | None, *allowed: str) -> str | None:
        return await DestinationPolicy(allowed).permit(url, peer)

    async def test_the_subscriber_itself(self):
        assert await self.ask("http://192.0.2.7:5000", "192.0.2.7") == "192.0.2.7"
        assert await self.ask("http://192.0.2.7:5000", "::ffff:192.0.2.7") == "192.0.2.7"
        assert await self.ask("https://[2001:db8::1]", "2001:db8::1") == "2001:db8::1"
        assert await self.ask("http://localhost:5000", "127.0.0.1") in ("127.0.0.1", "::1")
        assert await self.ask("http://127.0.0.1:5000", None) == "127.0.0.1"

    @pytest.mark.parametrize(
        ("url", "peer"),
        [
            ("http://192.0.2.8:5000", "192.0.2.7"),
            ("http://127.0.0.1:5000", "192.0.2.7"),
            ("http://192.0.2.7:5000", None),
            ("http://192.0.2.7:5000", "127.0.0.1"),
        ],
    )
    async def test_nobody_else(self, url: str, peer: str | None):
        assert await status_of(self.ask(url, peer)) is Status.ACCESS_DENIED

    async def test_whom_the_settings_allow(self):
        assert await self.ask("http://192.0.2.8", "192.0.2.7", "192.0.2.0/24") == "192.0.2.8"
        assert await self.ask("http://LISTENER.example", "192.0.2.7", "listener.example") is None
        assert await self.ask("http://anywhere.example", "192.0.2.7", "*") is None
        assert await status_of(self.ask("http://192.0.3.8", "192.0.2.7", "192.0.2.0/24")) is Status.ACCESS_DENIED

    async def test_an_unknown_host(self):
        assert await status_of(self.ask("http://nothing.invalid", "192.0.2.7")) is Status.INVALID_PARAMETER
