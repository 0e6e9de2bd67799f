"""Addresses that clients give: Ethernet and IP, checked and made up."""

from __future__ import annotations

import re
import secrets
from ipaddress import IPv4Address, IPv6Address, ip_interface

from xenapi_core.datamodel import XenApiError

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def mac_address(text: str) -> str:
    """Return a NIC's Ethernet address in lower case; MAC_INVALID if it is none, or that of a group."""
    mac = text.strip().lower()
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise XenApiError("MAC_INVALID", text)
    return mac


def new_mac_address() -> str:
    """Return an Ethernet address of the range that belongs to Xen."""
    return "00:16:3e:" + ":".join(f"{octet:02x}" for octet in (secrets.randbelow(128), *secrets.token_bytes(2)))


def check_ip(parameter: str, text: str, version: int) -> None:
    """Raise INVALID_IP_ADDRESS_SPECIFIED (parameter) if a text is no IP address of a version."""
    try:
        IPv4Address(text) if version == 4 else IPv6Address(text)
    except ValueError:
        raise XenApiError("INVALID_IP_ADDRESS_SPECIFIED", parameter) from None


def check_cidr(parameter: str, text: str, version: int) -> None:
    """Raise INVALID_CIDR_ADDRESS_SPECIFIED (parameter) if a text is no IP address with the length of its prefix."""
    try:
        valid = "/" in text and ip_interface(text).version == version
    except ValueError:
        valid = False
    if not valid:
        raise XenApiError("INVALID_CIDR_ADDRESS_SPECIFIED", parameter)


def is_netmask(text: str) -> bool:
    """Tell whether a text is an IPv4 netmask."""
    try:
        inverse = int(IPv4Address(text)) ^ 0xFFFFFFFF
    except ValueError:
        return False
    return inverse & (inverse + 1) == 0
