"""Whether this machine computes what it should."""
