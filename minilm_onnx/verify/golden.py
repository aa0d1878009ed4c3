"""What the export's reference gave for a few texts; a model folder has it to be checked by."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray
from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import read_json
from minilm_onnx.folder.layout import GOLDEN
from minilm_onnx.text.tokens import check_texts


@dataclass(frozen=True)
class GoldenTexts:
    """Texts of many kinds, and the reference's fp32 answers, sentence-transformers' as a rule.

    Attributes:
        texts: N texts.
        ids: token ids of each, cut at the model's limit.
        vectors: (N, H) float32 unit rows.
    """

    texts: list[str]
    ids: list[list[int]]
    vectors: FloatArray

    def to_json(self) -> str:
        """Give the text of golden.json; vectors are little-endian float32 in base64."""
        vectors = base64.b64encode(self.vectors.astype("<f4").tobytes()).decode()
        fields = {"texts": self.texts, "ids": self.ids, "vectors": vectors}
        return json.dumps(fields, indent=0) + "\n"


def bits_of(vectors: FloatArray) -> str:
    """Give the sha256, in hexadecimal, of (N, H) vectors as float32, little-endian."""
    return hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()


def read_golden(folder: Path, dimension: int) -> GoldenTexts:
    """Read golden.json of vectors of H = dimension components.

    Raises:
        ArtifactError: it is missing or of another form.
    """
    fields = read_json(folder / GOLDEN)
    try:
        texts, ids = list(fields["texts"]), [list(row) for row in fields["ids"]]
        check_texts(texts)
        if not 0 < len(texts) == len(ids):
            raise ValueError(f"{len(texts)} texts and the ids of {len(ids)}")
        vectors = np.frombuffer(base64.b64decode(fields["vectors"]), "<f4").astype(np.float32)
        return GoldenTexts(texts, ids, vectors.reshape(len(texts), dimension))
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(
            f"{folder / GOLDEN}: expected texts, ids and vectors, got {error!r}; "
            "export the model folder again"
        ) from error
