"""The client's end of the Xen-API: connection, sessions, events and a live replica. Knows nothing of CIM."""
