"""TCL: who interacts with whom next, from both histories at once."""
