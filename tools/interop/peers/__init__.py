"""Programs that a judge is a library of: each runs as a process of its own."""
