"""Speed and memory, side by side with the best public implementations, as ratios within one run.

Each module here but harness, peers and page is one benchmark: `python -m benchmarks.NAME [--quick]` prints a table and,
as its last line, one JSON object. `python -m benchmarks` runs them all and writes benchmarks/results/.
"""
