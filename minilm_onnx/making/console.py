"""What the operator is told on the way."""

import sys


def say(line: str) -> None:
    """Tell the operator how far it is."""
    print(f"export: {line}", file=sys.stderr, flush=True)
