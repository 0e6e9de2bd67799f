"""The CIM model of Xen, made from Xen-API records."""
