"""A package for each task that rooms share: data, protocol, verbs, and the rivals one would otherwise use."""
