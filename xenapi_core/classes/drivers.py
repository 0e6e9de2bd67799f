"""The kinds of storage: for each, what a host must be told to reach it, and what it can do.

From this table follow the objects of the class SM, ``SR.get_supported_types``, which operations a repository supports,
and whether a configuration is one that could work. Nothing is really reached: a server whose name ends in ``.invalid``,
which by RFC 6761 never exists, stands for one that does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, SubElement, tostring

from xenapi_core.datamodel import XenApiError

GIB = 1 << 30

WRITABLE = (
    "VDI_CREATE",
    "VDI_DELETE",
    "VDI_ATTACH",
    "VDI_DETACH",
    "VDI_RESIZE",
    "VDI_RESIZE_ONLINE",
    "VDI_CLONE",
    "VDI_SNAPSHOT",
    "VDI_MIRROR",
    "VDI_INTRODUCE",
    "VDI_UPDATE",
    "VDI_RESET_ON_BOOT",
    "VDI_CONFIG_CBT",
    "SR_PROBE",
    "SR_UPDATE",
)
"""What storage for disks can do."""

READABLE = ("VDI_ATTACH", "VDI_DETACH", "VDI_INTRODUCE", "SR_PROBE", "SR_UPDATE")
"""What storage for CD images can do."""

PHYSICAL = ("VDI_ATTACH", "VDI_DETACH", "VDI_INTRODUCE")
"""What the devices of a host can do."""


@dataclass(frozen=True)
class Key:
    """A key of ``PBD.device_config``, and what it means if it is missing or wrong: an error of the back end."""

    name: str
    missing: tuple[int, str]
    doc: str
    is_path: bool = False
    is_server: bool = False
    optional: bool = False
    choices: Callable[[Mapping[str, str]], str] | None = None
    """Tells, as XML, which values there are to choose from, given the other keys."""


def _targets(config: Mapping[str, str]) -> str:
    """Tell which targets a server has: one, in the simulation."""
    root = Element("iscsi-target-iqns")
    target = SubElement(root, "TGT")
    SubElement(target, "Index").text = "0"
    SubElement(target, "IPAddress").text = config["target"]
    SubElement(target, "TargetIQN").text = f"iqn.2006-11.{config['target']}:storage"
    return tostring(root, encoding="unicode")


def _units(config: Mapping[str, str]) -> str:
    """Tell which logical units a target has: one, in the simulation."""
    root = Element("iscsi-target")
    unit = SubElement(root, "LUN")
    SubElement(unit, "LUNid").text = "0"
    SubElement(unit, "vendor").text = "simulated"
    SubElement(unit, "size").text = str(1024 * GIB)
    SubElement(unit, "SCSIid").text = uuid5(NAMESPACE_URL, f"{config.get('target')} {config.get('targetIQN')}").hex
    return tostring(root, encoding="unicode")


DEVICE = Key("device", (90, "The request is missing the device parameter"), "device of the host", is_path=True)
SERVER = Key("server", (88, "The request is missing the server parameter"), "name of the server", is_server=True)
SERVER_PATH = Key(
    "serverpath", (101, "The request is missing the serverpath parameter"), "path on the server", is_path=True
)
LOCATION = Key("location", (89, "The request is missing the location parameter"), "path on the host, or server:path")
DIRECTORY = Key("location", (89, "The request is missing the location parameter"), "path on the host", is_path=True)
TARGET = Key("target", (91, "The request is missing the target parameter"), "name of the target", is_server=True)
TARGET_IQN = Key(
    "targetIQN",
    (96, "The request is missing or has an incorrect target IQN parameter"),
    "target IQN",
    choices=_targets,
)
SCSI_ID = Key(
    "SCSIid", (107, "The SCSIid parameter is missing or incorrect"), "identifier of the logical unit", choices=_units
)

PATH_INVALID = (104, "The path parameter is not an absolute path")
UNREACHABLE = (140, "DNS error: the server does not exist")
UNSUPPORTED = (141, "Unable to connect to the server")


@dataclass(frozen=True)
class Driver:
    """A kind of storage."""

    name: str
    doc: str
    keys: tuple[Key, ...]
    features: tuple[str, ...] = WRITABLE
    shared: bool = False
    """Several hosts can attach to it at the same time."""
    exclusive: str = ""
    """The key that names a device which only one repository can use."""
    size: int = 1024 * GIB
    """Space of a new repository if its creator names none (bytes)."""
    thin: bool = True
    """An image takes only the space that was written to."""

    def check(self, config: Mapping[str, str]) -> None:
        """Raise SR_BACKEND_FAILURE if storage cannot be reached with a configuration."""
        for key in self.keys:
            value = config.get(key.name, "").strip()
            if not value:
                if not key.optional:
                    raise failure(key.missing, choices=key.choices(config) if key.choices else "")
            elif key.is_path and not value.startswith("/"):
                raise failure(PATH_INVALID, f"{key.name} is {value}")
            elif (key.is_server or ":" in value) and _unknown(value.partition(":")[0]):
                raise failure(UNREACHABLE, f"{key.name} is {value}")

    def matches(self, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
        """Tell whether two configurations reach the same storage."""
        return all(one.get(key.name) == other.get(key.name) for key in self.keys)


def _unknown(server: str) -> bool:
    return server.rstrip(".").endswith(".invalid")


def failure(error: tuple[int, str], detail: str = "", choices: str = "") -> XenApiError:
    """Return an error of the back end; ``choices`` is what there is to choose from, as XML."""
    status, text = error
    return XenApiError("SR_BACKEND_FAILURE", status, choices, f"{text} [{detail}]" if detail else text)


_DRIVERS = (
    Driver("ext", "Local storage: images as files in an ext4 file system", (DEVICE,), exclusive="device"),
    Driver("lvm", "Local storage: images as logical volumes", (DEVICE,), exclusive="device", thin=False),
    Driver("file", "Images as files in a directory of the host", (DIRECTORY,), exclusive="location"),
    Driver("nfs", "Images as files on an NFS server", (SERVER, SERVER_PATH), shared=True),
    Driver(
        "lvmoiscsi",
        "Images as logical volumes on an iSCSI target",
        (TARGET, TARGET_IQN, SCSI_ID),
        shared=True,
        exclusive="SCSIid",
        thin=False,
    ),
    Driver(
        "lvmohba",
        "Images as logical volumes on a LUN behind a host bus adapter",
        (SCSI_ID,),
        shared=True,
        exclusive="SCSIid",
        thin=False,
    ),
    Driver("iso", "CD images as files", (LOCATION,), features=READABLE, shared=True, size=64 * GIB),
    Driver("udev", "Devices of the host", (LOCATION,), features=PHYSICAL),
)

DRIVERS: Mapping[str, Driver] = MappingProxyType({driver.name: driver for driver in _DRIVERS})
"""By the name that ``SR.type`` gives them."""

ALIASES = MappingProxyType({"iscsi": "lvmoiscsi"})
"""Names that clients also use."""


def driver(kind: str) -> Driver:
    """Return the driver of a kind of storage; SR_UNKNOWN_DRIVER if there is none."""
    try:
        return DRIVERS[ALIASES.get(kind, kind)]
    except KeyError:
        raise XenApiError("SR_UNKNOWN_DRIVER", kind) from None


def supports(kind: str, feature: str) -> bool:
    """Tell whether a kind of storage can do something."""
    known = DRIVERS.get(kind)
    return known is not None and feature in known.features
