"""Files to texts: one way to read each kind of file."""
