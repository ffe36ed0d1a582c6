"""What one would otherwise use: rules that only look back, and the networks of other papers."""
