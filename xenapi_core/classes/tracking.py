"""Tracking which blocks of disk images change, for backups that copy only those."""

from __future__ import annotations

from base64 import b64encode

from xenapi_core.classes.images import VDI_OPERATIONS
from xenapi_core.datamodel import VM_ADMIN, VM_OPERATOR, Call, XenApiError, message
from xenapi_core.datamodel.refs import VDIRef

BLOCK = 1 << 16
"""Size of a block, which one bit stands for (bytes)."""

REFUSED = (
    "OTHER_OPERATION_IN_PROGRESS",
    "SR_HAS_NO_PBDS",
    "SR_NOT_ATTACHED",
    "SR_OPERATION_NOT_SUPPORTED",
    "VDI_MISSING",
    "VDI_IN_USE",
    "VDI_INCOMPATIBLE_TYPE",
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",
)


class Tracking:
    """The messages of VDI that are about changed blocks."""

    @message(role=VM_ADMIN, asynchronous=True, errors=(*REFUSED, "OPERATION_NOT_ALLOWED"))
    def enable_cbt(call: Call, self: VDIRef) -> None:
        """Track which blocks of an image change."""
        _track(call, self, "enable_cbt", enabled=True)

    @message(role=VM_ADMIN, asynchronous=True, errors=(*REFUSED, "OPERATION_NOT_ALLOWED"))
    def disable_cbt(call: Call, self: VDIRef) -> None:
        """No longer track which blocks of an image change."""
        _track(call, self, "disable_cbt", enabled=False)

    @message(role=VM_ADMIN, asynchronous=True, errors=(*REFUSED, "OPERATION_NOT_ALLOWED", "VDI_NO_CBT_METADATA"))
    def data_destroy(call: Call, self: VDIRef) -> None:
        """Throw a snapshot's content away, and keep only the list of blocks that had changed."""
        with call.store.write() as change:
            image = change.record(self, "VDI")
            VDI_OPERATIONS.check(change, image, "data_destroy")
            if not image["is_a_snapshot"]:
                raise XenApiError("OPERATION_NOT_ALLOWED", f"VDI {self} is not a snapshot")
            if not image["cbt_enabled"]:
                raise XenApiError("VDI_NO_CBT_METADATA", self)
            repository = change.record(image["SR"])
            used = repository["physical_utilisation"] - image["physical_utilisation"]
            change.update(repository.ref, physical_utilisation=used)
            change.update(self, type="cbt_metadata", physical_utilisation=0)

    @message(role=VM_OPERATOR, asynchronous=True, errors=(*REFUSED, "VDI_NO_CBT_METADATA"))
    def list_changed_blocks(call: Call, vdi_from: VDIRef, vdi_to: VDIRef) -> str:
        """Return which blocks of 64 KiB differ between two images: a bit for each, in base 64.

        Guests of simulated hosts write nothing, so only blocks that one of the images lacks differ.
        """
        old, new = call.record(vdi_from, "VDI"), call.record(vdi_to, "VDI")
        for image in (old, new):
            VDI_OPERATIONS.check(call.store, image, "list_changed_blocks")
            if not image["cbt_enabled"]:
                raise XenApiError("VDI_NO_CBT_METADATA", image.ref)
        same, blocks = (-(-image["virtual_size"] // BLOCK) for image in (old, new))
        bits = "".join("0" if block < same else "1" for block in range(blocks)) if blocks > same else ""
        octets = -(-blocks // 8)
        value = int(bits.ljust(octets * 8, "0"), 2) if bits else 0
        return b64encode(value.to_bytes(octets, "big")).decode()


def _track(call: Call, vdi: str, operation: str, *, enabled: bool) -> None:
    with call.store.write() as change:
        image = change.record(vdi, "VDI")
        VDI_OPERATIONS.check(change, image, operation)
        if image["is_a_snapshot"] and enabled:
            raise XenApiError("OPERATION_NOT_ALLOWED", f"VDI {vdi} is a snapshot")
        change.update(vdi, cbt_enabled=enabled)
