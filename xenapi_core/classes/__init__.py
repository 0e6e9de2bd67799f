"""One file for each Xen-API class: its fields and its messages together."""
