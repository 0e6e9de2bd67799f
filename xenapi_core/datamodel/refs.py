"""References, one annotation per class, so that class files need not import each other."""

from __future__ import annotations

from typing import Annotated

from xenapi_core.datamodel.types import Ref

# Sessions, users and tasks
SessionRef = Annotated[str, Ref("session")]
UserRef = Annotated[str, Ref("user")]
TaskRef = Annotated[str, Ref("task")]
RoleRef = Annotated[str, Ref("role")]
SubjectRef = Annotated[str, Ref("subject")]
SecretRef = Annotated[str, Ref("secret")]

# Hosts
PoolRef = Annotated[str, Ref("pool")]
HostRef = Annotated[str, Ref("host")]
HostMetricsRef = Annotated[str, Ref("host_metrics")]
HostCpuRef = Annotated[str, Ref("host_cpu")]
HostCrashdumpRef = Annotated[str, Ref("host_crashdump")]
HostPatchRef = Annotated[str, Ref("host_patch")]
CpuPoolRef = Annotated[str, Ref("cpu_pool")]

# Virtual machines
VMRef = Annotated[str, Ref("VM")]
VMMetricsRef = Annotated[str, Ref("VM_metrics")]
VMGuestMetricsRef = Annotated[str, Ref("VM_guest_metrics")]
VMApplianceRef = Annotated[str, Ref("VM_appliance")]
VMSSRef = Annotated[str, Ref("VMSS")]
VMPPRef = Annotated[str, Ref("VMPP")]
ConsoleRef = Annotated[str, Ref("console")]
CrashdumpRef = Annotated[str, Ref("crashdump")]
VTPMRef = Annotated[str, Ref("VTPM")]

# Storage
SRRef = Annotated[str, Ref("SR")]
SMRef = Annotated[str, Ref("SM")]
PBDRef = Annotated[str, Ref("PBD")]
VDIRef = Annotated[str, Ref("VDI")]
VBDRef = Annotated[str, Ref("VBD")]
VBDMetricsRef = Annotated[str, Ref("VBD_metrics")]
DRTaskRef = Annotated[str, Ref("DR_task")]

# Networks
NetworkRef = Annotated[str, Ref("network")]
VIFRef = Annotated[str, Ref("VIF")]
VIFMetricsRef = Annotated[str, Ref("VIF_metrics")]
PIFRef = Annotated[str, Ref("PIF")]
PIFMetricsRef = Annotated[str, Ref("PIF_metrics")]
BondRef = Annotated[str, Ref("Bond")]
VLANRef = Annotated[str, Ref("VLAN")]
TunnelRef = Annotated[str, Ref("tunnel")]
NetworkSriovRef = Annotated[str, Ref("network_sriov")]

# Devices handed to guests
PCIRef = Annotated[str, Ref("PCI")]
PGPURef = Annotated[str, Ref("PGPU")]
GPUGroupRef = Annotated[str, Ref("GPU_group")]
VGPURef = Annotated[str, Ref("VGPU")]
VGPUTypeRef = Annotated[str, Ref("VGPU_type")]
PUSBRef = Annotated[str, Ref("PUSB")]
USBGroupRef = Annotated[str, Ref("USB_group")]
VUSBRef = Annotated[str, Ref("VUSB")]
PPCIRef = Annotated[str, Ref("PPCI")]
DPCIRef = Annotated[str, Ref("DPCI")]
PSCSIRef = Annotated[str, Ref("PSCSI")]
PSCSIHBARef = Annotated[str, Ref("PSCSI_HBA")]
DSCSIRef = Annotated[str, Ref("DSCSI")]
DSCSIHBARef = Annotated[str, Ref("DSCSI_HBA")]

# Policies
XSPolicyRef = Annotated[str, Ref("XSPolicy")]
ACMPolicyRef = Annotated[str, Ref("ACMPolicy")]

# Further classes
PoolPatchRef = Annotated[str, Ref("pool_patch")]
PoolUpdateRef = Annotated[str, Ref("pool_update")]
LVHDRef = Annotated[str, Ref("LVHD")]
BlobRef = Annotated[str, Ref("blob")]
MessageRef = Annotated[str, Ref("message")]
PVSSiteRef = Annotated[str, Ref("PVS_site")]
PVSServerRef = Annotated[str, Ref("PVS_server")]
PVSProxyRef = Annotated[str, Ref("PVS_proxy")]
PVSCacheStorageRef = Annotated[str, Ref("PVS_cache_storage")]
FeatureRef = Annotated[str, Ref("Feature")]
SDNControllerRef = Annotated[str, Ref("SDN_controller")]
ClusterRef = Annotated[str, Ref("Cluster")]
ClusterHostRef = Annotated[str, Ref("Cluster_host")]
CertificateRef = Annotated[str, Ref("Certificate")]
RepositoryRef = Annotated[str, Ref("Repository")]
ObserverRef = Annotated[str, Ref("Observer")]
