"""A model folder: what it holds, and whether that can be trusted."""
