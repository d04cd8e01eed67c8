"""Parts for a person at a terminal."""
