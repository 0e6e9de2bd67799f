"""The commands: xen-cim, xenapid and pycimom."""
