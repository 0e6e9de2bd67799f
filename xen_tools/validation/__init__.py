"""What `xen-cim validate` looks for: violations of MOF, keys, references and profiles, by any CIM server."""
