"""The names that requests may call the model by."""

from dataclasses import dataclass

from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import shorten
from minilm_onnx.server.settings import Settings

# all-MiniLM-L6-v2 as other software knows it: Ollama's library and its tags, the hub. Ollama's
# ...-fp16 tags are left out, since they name a precision.
ALIASES = (
    "all-MiniLM-L6-v2",
    "all-minilm",
    "all-minilm:22m",
    "all-minilm:l6-v2",
    "sentence-transformers/all-MiniLM-L6-v2",
)
# What Ollama's list calls it.
OLLAMA = "all-minilm:latest"
# What Text Embeddings Inference's own documents send to whatever model it serves.
PLACEHOLDERS = ("tei", "text-embeddings-inference")


@dataclass(frozen=True)
class Names:
    """What the model answers to.

    Attributes:
        names: its names; the first is the one that lists of models show.
        tagged: the one that Ollama's lists show, with a tag.
        any_name: whether it answers to every other name too.
    """

    names: tuple[str, ...]
    tagged: str
    any_name: bool = False

    @classmethod
    def of(cls, encoder: SentenceEncoder, settings: Settings) -> "Names":
        """Put the operator's names before the model's own."""
        manifest = encoder.manifest
        full = manifest.model_id if manifest else encoder.folder.name
        short = full.rpartition("/")[2]
        # Another model may not answer to these: its vectors would be compared with this one's.
        ours = short.casefold() == "all-minilm-l6-v2"
        own = ALIASES if ours else (short, full)
        names = tuple(dict.fromkeys((*settings.names, *own)))
        tagged = OLLAMA if ours and not settings.names else _with_tag(names[0])
        return cls(names, tagged, settings.any_name)

    @property
    def listed(self) -> str:
        """The name that lists of models show."""
        return self.names[0]

    def know(self, name: str) -> bool:
        """Whether this is a name of the model, as Ollama compares them: letter case is nothing."""
        return self.any_name or _folded(name) in {_folded(one) for one in self.names}

    def advice(self, name: str, listed: str) -> str:
        """Say what to do about a name that is not known; `listed` is the one to ask for."""
        return (
            f"this server has one model, {listed}; ask for that, or start the server with "
            f"--name {shorten(name)}"
        )


def _with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _folded(name: str) -> str:
    name = name.casefold().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name.removesuffix(":latest")
