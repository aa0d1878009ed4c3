"""The native operators in C, and how they are compiled; docs/operators.md defines them."""
