"""IAD: a small classifier that stays right under attack (arXiv 2106.04928)."""
