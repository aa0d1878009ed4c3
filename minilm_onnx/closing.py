"""What can be closed, also by the end of a with block."""

from types import TracebackType
from typing import Self


class Closing:
    """Base of what has a `close()`, called at the end of a with block."""

    def close(self) -> None:
        """Give back what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Give the object itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
