"""Small programs that run a rival from its own place, and ours in the same way, each as a process of its own."""
