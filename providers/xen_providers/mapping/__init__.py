"""Declared mappings: how records of the Xen-API become instances of CIM, and views follow changes (DESIGN 5, 6)."""
