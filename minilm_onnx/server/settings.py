"""What an operator decides."""

from dataclasses import dataclass

from minilm_onnx.errors import InputError
from minilm_onnx.server.origins import Origins


@dataclass(frozen=True)
class Settings:
    """Limits and names.

    Attributes:
        names: further names that requests may call the model by; lists show the first.
        any_name: answer to every other name too.
        api_keys: one of these must come as a bearer token, if there are any.
        max_body: bytes of a request.
        max_held: bytes of bodies, texts and answers of all requests; more are refused at once.
        max_texts: texts of a request; Ollama's /api/embed takes eight times as many, in parts.
        max_requests: requests that wait or are computed; more are refused at once.
        max_tokens: tokens that wait; more are refused at once.
        body_s: seconds in which a request's body must have come.
        deadline_s: seconds after which a request that still waits is given up.
        allow_hosts: names that requests may call this server by, beside localhost; `*` stands for
            any part of a name. None to look at no name.
        allow_origins: web pages of these origins may ask; none, unless told. As
            https://mine.example, http://localhost:*, https://*.mine.example, app://* or *.

    Raises:
        InputError: one of `names` is empty, or one of `allow_origins` no origin.
    """

    names: tuple[str, ...] = ()
    any_name: bool = False
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

    def __post_init__(self) -> None:
        """Look at names and origins before anything is served."""
        if not all(name.strip() for name in self.names):
            raise InputError("--name: expected a name, got an empty one; leave it out")
        Origins(self.allow_origins)
