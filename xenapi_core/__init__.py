"""The Xen-API server. Knows nothing of CIM."""
