"""The spelling of class names, which event.from gives in lower case."""

from __future__ import annotations

MIXED_CASE = """
    ACMPolicy Bond Certificate Cluster Cluster_host DPCI DR_task DSCSI DSCSI_HBA Feature GPU_group LVHD Observer PBD PCI
    PGPU PIF PIF_metrics PPCI PSCSI PSCSI_HBA PUSB PVS_cache_storage PVS_proxy PVS_server PVS_site Repository
    SDN_controller SM SR USB_group VBD VBD_metrics VDI VGPU VGPU_type VIF VIF_metrics VLAN VM VMPP VMSS VM_appliance
    VM_group VM_guest_metrics VM_metrics VTPM VUSB XSPolicy
"""
"""The classes of Xen-API 1.0 and of XenServer whose names are not all lower case."""

_SPELLING = {name.lower(): name for name in MIXED_CASE.split()}


def canonical(name: str) -> str:
    """Return the name of a class as the API documents it: ``vm`` gives ``VM``, ``host`` stays ``host``."""
    return _SPELLING.get(name.lower(), name)
