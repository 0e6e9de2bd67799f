"""A pytest plugin for pywbem's end-to-end tests, which ask for a listener on the host "".

pywbem hands that on to getaddrinfo, where the C library of some systems takes it for "any address" and that of others
for a name that does not exist. None means any address everywhere.
"""

from __future__ import annotations

import socket
from typing import Any

_getaddrinfo = socket.getaddrinfo


def _of_any_address(host: Any, *arguments: Any, **options: Any) -> Any:
    return _getaddrinfo(host or None, *arguments, **options)


socket.getaddrinfo = _of_any_address
