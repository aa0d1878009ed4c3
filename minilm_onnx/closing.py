"""What is closed at the end of a `with` block."""

from typing import Self


class Closing:
    """Has a `close`, which the end of a `with` block calls."""

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()
