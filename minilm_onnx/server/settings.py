"""What an operator decides."""

from dataclasses import dataclass

from minilm_onnx.errors import InputError
from minilm_onnx.server.origins import Origins


@dataclass(frozen=True)
class Settings:
    """Limits, names and keys of a server.

    Attributes:
        names: additional names of the model in requests; lists show the first one.
        any_name: whether any other model name is accepted too.
        api_keys: if there are any, every request needs one of them as its bearer token.
        max_body: maximum bytes of a request.
        max_held: maximum bytes of bodies, texts and answers of all requests together; further
            requests are rejected at once.
        max_texts: maximum number of texts in a request. Ollama's /api/embed accepts eight times as
            many, and computes them in parts.
        max_requests: maximum number of waiting and running requests; further ones are rejected at
            once.
        max_tokens: maximum number of waiting tokens; further requests are rejected at once.
        body_s: seconds within which the body of a request must arrive.
        deadline_s: seconds after which a request that is still waiting is cancelled.
        allow_hosts: host names under which requests may reach this server, besides localhost; `*`
            stands for any part of a name. None to accept any host name.
        allow_origins: origins whose web pages may send requests; none by default. Examples:
            https://mine.example, http://localhost:*, https://*.mine.example, app://* or *.

    Raises:
        InputError: one of `names` is empty, or one of `allow_origins` is not an origin.
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
