"""What is measured: ranking, and the intervals round a figure."""
