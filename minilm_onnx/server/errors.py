"""Why the server does not answer a request with vectors; `endpoint` gives each its HTTP status."""

from minilm_onnx.errors import MiniLMError


class RequestError(MiniLMError):
    """A request that cannot be answered.

    Attributes:
        field: of the body, which is wrong; None for the whole.
        status: of HTTP.
        kind: a word that protocols name it by: "validation", "empty", "model", "size", "key".
    """

    def __init__(
        self,
        message: str,
        field: str | None = None,
        *,
        status: int = 400,
        kind: str = "validation",
    ) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.field, self.status, self.kind = field, status, kind


class OverloadedError(MiniLMError):
    """Too much is waiting.

    Attributes:
        retry_after: seconds after which there may be room.
    """

    def __init__(self, retry_after: int) -> None:
        """Say when to come back."""
        super().__init__(
            f"server: expected room in the queue, got none; try again in {retry_after} s"
        )
        self.retry_after = retry_after


class DeadlineError(MiniLMError):
    """A request waited longer than it may."""

    def __init__(self, seconds: float) -> None:
        """Say how long that was."""
        super().__init__(
            f"server: expected to begin within {seconds:g} s, got no turn; try again later"
        )


class GoneError(MiniLMError):
    """Whoever asked has gone."""
