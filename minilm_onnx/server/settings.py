"""What an operator decides."""

from dataclasses import dataclass

# Names under which other software knows this model.
NAMES = (
    "all-minilm",
    "all-minilm:latest",
    "all-MiniLM-L6-v2",
    "sentence-transformers/all-MiniLM-L6-v2",
)


@dataclass(frozen=True)
class Settings:
    """Limits and names.

    Attributes:
        names: further names that requests may call the model by.
        api_keys: one of these must come as a bearer token, if there are any.
        max_body: bytes of a request.
        max_held: bytes of bodies, texts and answers of all requests; more are refused at once.
        max_texts: texts of a request.
        max_requests: requests that wait or are computed; more are refused at once.
        max_tokens: tokens that wait; more are refused at once.
        body_s: seconds in which a request's body must have come.
        deadline_s: seconds after which a request that still waits is given up.
        allow_hosts: names that requests may call this server by, beside localhost; `*` stands for
            any part of a name. None to look at no name.
        allow_origins: web pages of these origins may ask; none, unless told.
    """

    names: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    max_body: int = 8 * 2**20
    max_held: int = 128 * 2**20
    max_texts: int = 2048
    max_requests: int = 1024
    max_tokens: int = 2**20
    body_s: float = 30.0
    deadline_s: float = 60.0
    allow_hosts: tuple[str, ...] | None = None
    allow_origins: tuple[str, ...] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name of the model."""
        return (*NAMES, *self.names)
