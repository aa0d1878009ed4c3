"""Numpy on vectors: pooling, comparing, searching, shortening."""
