"""Rehearsal Memory: answers about a stream that is too long to keep (arXiv 2106.01096)."""
