"""One exchange with a listener, in HTTP and TLS."""

from __future__ import annotations

import ssl

import pytest

from indication_rig import ALL, FULL, GOOD, RawListener, Rig, answer, change, subscription
from netserve import certificates
from netserve.doors import Tls
from pycimom.indications import DeliverySettings


class TestExchange:
    async def identifiers(self, rig: Rig, listener: RawListener, count: int) -> list[str]:
        service = await rig.start()
        await subscription(service, f"http://127.0.0.1:{listener.port}/some/path?x=1", ALL)
        rig.source.emit(change(3, 2, "a"))
        rig.source.emit(change(3, 2, "b"))
        bodies = [(await listener.next())[1] for _ in range(count)]
        return ["a" if b"a 3 2" in body else "b" for body in bodies]

    async def test_the_request_is_as_dsp0200_wants_it(self, rig: Rig):
        async with RawListener([GOOD, GOOD]) as listener:
            service = await rig.start()
            await subscription(service, f"http://127.0.0.1:{listener.port}/some/path", ALL)
            rig.source.emit(change(3, 2, "<&>"))
            headers, body = await listener.next()
        assert headers["cimexport"] == "MethodRequest"
        assert headers["cimexportmethod"] == "ExportIndication"
        assert headers["content-type"] == 'application/xml; charset="utf-8"'
        assert headers["host"] == f"127.0.0.1:{listener.port}"
        assert "transfer-encoding" not in headers
        assert int(headers["content-length"]) == len(body)

    async def test_one_connection_serves_many_indications(self, rig: Rig):
        async with RawListener([GOOD, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]
            assert listener.connections == 1

    @pytest.mark.parametrize(
        "bad",
        [b"", FULL, answer(status="503 Busy"), answer("<nonsense"), b"nonsense\r\n\r\n", answer("x" * 100_000)],
    )
    async def test_a_failure_is_retried_at_once_on_a_fresh_connection(self, rig: Rig, bad: bytes):
        async with RawListener([bad, GOOD, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 3) == ["a", "a", "b"]
            assert listener.connections == 2
        assert rig.pauses.begun.empty()

    @pytest.mark.parametrize("closing", [answer(version="1.0"), answer(more="Connection: close\r\n"), answer("  ")])
    async def test_listeners_of_few_words(self, rig: Rig, closing: bytes):
        async with RawListener([closing, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]

    @pytest.mark.parametrize(
        "final",
        [answer(status="400 Bad Request", more="CIMError: request-not-valid\r\n"), answer(status="404 Not Found")],
    )
    async def test_what_is_refused_for_good_is_not_retried(self, rig: Rig, final: bytes):
        async with RawListener([final, GOOD]) as listener:
            assert await self.identifiers(rig, listener, 2) == ["a", "b"]

    async def test_redirects_are_not_followed(self, rig: Rig):
        async with RawListener([GOOD]) as elsewhere:
            moved = answer(status="307 Moved", more=f"Location: http://127.0.0.1:{elsewhere.port}/\r\n")
            async with RawListener([moved, GOOD]) as listener:
                assert await self.identifiers(rig, listener, 2) == ["a", "b"]
            assert elsewhere.connections == 0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certificates.ensure(tmp_path_factory.mktemp("tls"), ["localhost", "127.0.0.1"])


class TestTls:
    @staticmethod
    def context(tls: Tls) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        return context

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    async def test_a_listener_with_a_certificate_that_is_known(self, rig: Rig, tls: Tls, host: str):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start(delivery=DeliverySettings(authorities=tls.certificate, timeout=5))
            await subscription(service, f"https://{host}:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            headers, _ = await listener.next()
            assert headers["host"] == f"{host}:{listener.port}"

    async def test_a_listener_with_a_certificate_that_is_not_gets_nothing(self, rig: Rig, tls: Tls):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start()
            await subscription(service, f"https://localhost:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            seconds, _ = await rig.pauses.next()
            assert seconds == 30
            assert listener.requests.empty()

    async def test_unless_the_settings_say_so(self, rig: Rig, tls: Tls):
        async with RawListener([GOOD], self.context(tls)) as listener:
            service = await rig.start(delivery=DeliverySettings(verify=False, timeout=5))
            await subscription(service, f"https://localhost:{listener.port}", ALL)
            rig.source.emit(change(3, 2))
            await listener.next()
