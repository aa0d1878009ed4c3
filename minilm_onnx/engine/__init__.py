"""Ids in, rows out: the graph run on this CPU."""
