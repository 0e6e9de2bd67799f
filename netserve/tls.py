"""TLS as the servers here speak it."""

from __future__ import annotations

import ssl

from netserve.doors import Tls


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return the context of a TLS door: 1.2 or later; if authorities are named, clients need a certificate of theirs.

    Raises OSError (ssl.SSLError is one) if a file cannot be read or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_authorities)
    return context
