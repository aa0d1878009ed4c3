"""How fast this machine can be."""
