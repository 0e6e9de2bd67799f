"""What really runs virtual machines."""
