"""What a simulated hypervisor makes up: the load of its guests, and the faults that users ask for."""
