"""Make the golden vectors and token ids: python -m tests.golden.make (export/requirements.txt).

Reads texts.jsonl and kinds.jsonl beside it, asks sentence-transformers fp32 on torch for each text
alone, and writes vectors.npy, ids.jsonl, kinds.npy and PROVENANCE.md.
"""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.kinds import whole_texts
from export.reference import SentenceTransformersReference
from minilm_onnx.making.checkpoint import DEFAULT_MODEL, find_checkpoint

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the four files."""
    lines = (FOLDER / "texts.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    checkpoint = find_checkpoint(DEFAULT_MODEL)
    reference = SentenceTransformersReference(checkpoint.folder)
    limit = reference.model.max_seq_length
    np.save(FOLDER / "vectors.npy", reference.vectors(texts))
    rows = [json.loads(line) for line in (FOLDER / "kinds.jsonl").read_text("utf-8").splitlines()]
    np.save(FOLDER / "kinds.npy", reference.vectors(whole_texts(rows)))
    ids = "".join(json.dumps(row) + "\n" for row in reference.ids(texts))
    (FOLDER / "ids.jsonl").write_text(ids, "utf-8")
    digests = "".join(
        f"- {name}: sha256 {hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}\n"
        for name in ("texts.jsonl", "vectors.npy", "ids.jsonl", "kinds.jsonl", "kinds.npy")
    )
    libraries = "".join(
        f"- {name} {version(name)}\n"
        for name in ("sentence-transformers", "transformers", "tokenizers", "torch", "numpy")
    )
    (FOLDER / "PROVENANCE.md").write_text(
        f"""# Where the golden values come from

Written by `python -m tests.golden.make`; not edited by hand.

- {len(texts)} texts, written for this project, in texts.jsonl with the kind of each
- vectors.npy: ({len(texts)}, 384) float32, `SentenceTransformer.encode` of each text alone
- ids.jsonl: the token ids that it feeds to the model, cut at {limit} tokens
- {len(rows)} more texts, written or drawn (draw.py) for this project, in kinds.jsonl with the kind
  of each; one with "times" is that text so many times, with a space between. Short replies have two
  to four tokens, [CLS] and [SEP] not counted. Those of 254 are words of the vocabulary.
- kinds.npy: their vectors, ({len(rows)}, 384) float32, made in the same way
- none of the texts is of a benchmark, or among those that calibration reads
- model {checkpoint.model_id}, revision {checkpoint.pin.revision},
  model.safetensors sha256 {checkpoint.pin.sha256["model.safetensors"]}
- float32 on the CPU, {platform.machine()}, Python {platform.python_version()}

Versions:

{libraries}
Files:

{digests}""",
        "utf-8",
    )


if __name__ == "__main__":
    main()
