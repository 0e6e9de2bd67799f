"""The MOF of the Xen model, by subject; the same files for every CIM server."""
