"""What really runs VMs."""
