"""The users' files: what is read, how it is split, and how training samples are drawn from it."""
