"""The maintainer's export, judged by sentence-transformers and optimum. Not in the wheel."""
