"""Files to texts: every command reads a file in this one way."""
