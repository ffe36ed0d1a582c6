"""The rivals that one would otherwise use: one class each, of one frame (lesson.py)."""
