"""What one would otherwise use for next-item recommendation: each a system of the task, held to the same contract."""
