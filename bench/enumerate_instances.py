"""EnumerateInstances of all systems, beside nginx sending the same bytes as a file.

Both servers answer the same client on one kept connection, in turns, in one run; what counts is the ratio of the
medians. nginx is Debian's nginx-light.
"""

from __future__ import annotations

import argparse
import base64
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from bridge_process import Bridge, run_bridge, short_folder

BODY = (
    '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
    '<MESSAGE ID="1001" PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="EnumerateInstances">'
    '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="cimv2"/></LOCALNAMESPACEPATH>'
    '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="Xen_ComputerSystem"/></IPARAMVALUE>'
    "</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
)
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
"""


class KeptConnection:
    """One HTTP connection that sends the same request again and again and reads whole answers."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.buffer = bytearray(1 << 20)

    def ask(self) -> bytes:
        """Send the request and return the answer's body."""
        self.socket.sendall(self.request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(65536)
        head, _, start = head.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        if len(self.buffer) < length:
            self.buffer = bytearray(length)
        view = memoryview(self.buffer)
        view[: len(start)] = start
        done = len(start)
        while done < length:
            done += self.socket.recv_into(view[done:length])
        return bytes(view[:length]) if length < 1 << 16 else view[:length]

    def seconds(self) -> float:
        """Return how long one request and its answer took."""
        begin = time.perf_counter()
        self.ask()
        return time.perf_counter() - begin


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def cim_connection(bridge: Bridge) -> KeptConnection:
    credentials = base64.b64encode(f"{bridge.user}:{bridge.password}".encode()).decode()
    head = (
        f"POST /cimom HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n"
        "Content-Type: application/xml; charset=utf-8\r\nCIMOperation: MethodCall\r\nCIMMethod: EnumerateInstances\r\n"
        f"CIMObject: root/cimv2\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return KeptConnection(address_of(bridge.url("cim-http")), (head + BODY).encode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(vms: int, rounds: int) -> dict[str, float]:
    """Return bytes, the median seconds of both servers and their ratio for a pool of so many VMs."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    state = short_folder()
    bridge = run_bridge(state, XEN_CIM_VMS=str(vms))
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        Path(folder, "answer.xml").touch(mode=0o644)
        Path(folder).chmod(0o755)
        Path(folder, "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        try:
            ours = cim_connection(bridge)
            began = time.perf_counter()
            body = bytes(ours.ask())
            first = time.perf_counter() - began
            Path(folder, "answer.xml").write_bytes(body)
            server = subprocess.Popen([nginx, "-c", f"{folder}/nginx.conf", "-p", folder])
            try:
                time.sleep(0.5)
                theirs = KeptConnection(("127.0.0.1", port), b"GET /answer.xml HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if bytes(theirs.ask()) != body:
                    raise RuntimeError("nginx does not send the same bytes")
                pairs = [(ours.seconds(), theirs.seconds()) for _ in range(rounds)]
            finally:
                server.terminate()
                server.wait()
        finally:
            bridge.stop()
            shutil.rmtree(state, ignore_errors=True)
    pycimom, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "vms": vms,
        "bytes": len(body),
        "first": first,
        "pycimom": pycimom,
        "nginx": plain,
        "ratio": pycimom / plain,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[100, 1000, 10_000], help="numbers of VMs")
    parser.add_argument("--rounds", type=int, default=50, help="pairs of requests for each size")
    parser.add_argument("--json", action="store_true", help="print one JSON object per size")
    options = parser.parse_args()
    if not options.json:
        print(f"{'VMs':>7} {'bytes':>12} {'first ms':>9} {'pycimom ms':>11} {'nginx ms':>9} {'ratio':>6}")
    for size in options.sizes:
        row = measure(size, options.rounds)
        if options.json:
            print(json.dumps(row))
        else:
            print(
                f"{row['vms']:>7} {row['bytes']:>12} {row['first'] * 1e3:>9.2f} {row['pycimom'] * 1e3:>11.2f}"
                f" {row['nginx'] * 1e3:>9.2f} {row['ratio']:>6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
