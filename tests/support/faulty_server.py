"""A CIM server with faults: a proxy that changes what a sound one answers."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from lxml import etree

KEPT = ("Authorization", "Content-Type", "CIMOperation", "CIMMethod", "CIMObject")


@dataclass(frozen=True)
class Asked:
    """An operation as it was asked for."""

    operation: str
    namespace: str
    call: etree._Element

    def parameter(self, name: str) -> str:
        """Return a parameter: the name of a class, or a string; empty if it is not given."""
        found = self.call.xpath(
            f"IPARAMVALUE[@NAME='{name}']/CLASSNAME/@NAME | IPARAMVALUE[@NAME='{name}']/VALUE/text()"
        )
        return str(found[0]) if found else ""

    def keys(self) -> list[str]:
        """Return the values of the keys of the instance that is asked about."""
        return [str(each) for each in self.call.xpath("IPARAMVALUE//KEYVALUE/text()")]


Fault = Callable[[Asked, etree._Element], None]
"""Changes the IMETHODRESPONSE that answers what was asked."""


class FaultyServer:
    """Runs from its making until ``stop``, in front of a server without faults."""

    def __init__(self, url: str, faults: Sequence[Fault]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                upstream = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
                headers = {name: self.headers[name] for name in KEPT if name in self.headers}
                upstream.request("POST", self.path, body, headers)
                answer = upstream.getresponse()
                data = answer.read()
                upstream.close()
                if answer.status == 200:
                    data = changed(body, data, faults)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def changed(request: bytes, answer: bytes, faults: Sequence[Fault]) -> bytes:
    """Return an answer with the faults that apply to it."""
    parser = etree.XMLParser(huge_tree=True)
    (call,) = etree.fromstring(request, parser).iter("IMETHODCALL")
    document = etree.fromstring(answer, parser)
    namespace = "/".join(call.xpath("LOCALNAMESPACEPATH/NAMESPACE/@NAME"))
    for response in document.iter("IMETHODRESPONSE"):
        for fault in faults:
            fault(Asked(call.get("NAME"), namespace, call), response)
    return etree.tostring(document, xml_declaration=True, encoding="utf-8")
