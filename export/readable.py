"""A checkpoint as the installed versions read it, whichever saved it.

sentence-transformers 6 names some of its modules by other paths than 5, and transformers 5 its
tokenizers by another class than 4. What they are has not changed, so the names are put right.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minilm_onnx.folder.files import read_json


@contextmanager
def readable(checkpoint: Path) -> Iterator[Path]:
    """Give a folder of links to a checkpoint's files, but for two that name installed classes.

    Args:
        checkpoint: the folder, which `check_folder` has looked at.
    """
    import transformers
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

    known = (Transformer, Pooling, Dense, Normalize)
    types = {kind.__name__: f"{kind.__module__}.{kind.__name__}" for kind in known}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path in checkpoint.resolve().iterdir():
            (folder / path.name).symlink_to(path)
        modules = read_json(checkpoint / "modules.json")
        for module in modules:
            module["type"] = types[module["type"].rpartition(".")[2]]
        _replace(folder / "modules.json", modules)
        path = folder / "tokenizer_config.json"
        said = read_json(path) if path.is_file() else {}
        # Which is read of tokenizer.json, as all that the runtime takes.
        if not hasattr(transformers, str(said.get("tokenizer_class", "BertTokenizer"))):
            _replace(path, {**said, "tokenizer_class": "PreTrainedTokenizerFast"})
        yield folder


def _replace(path: Path, fields: object) -> None:
    """Write a file in the place of a link."""
    path.unlink()
    path.write_text(json.dumps(fields), "utf-8")
