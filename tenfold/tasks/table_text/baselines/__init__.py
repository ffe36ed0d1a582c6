"""What one would otherwise use to make texts from tables."""
