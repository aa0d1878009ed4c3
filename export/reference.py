"""The two references: optimum's standard graph, and sentence-transformers itself."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.readable import readable
from minilm_onnx.errors import ArtifactError, shorten
from minilm_onnx.making.folder import check_folder
from minilm_onnx.verify.golden import GoldenTexts

# What optimum is asked for; the lean graph declares the same.
OPSET = 17


def export_standard(checkpoint: Path, out: Path) -> None:
    """Let optimum write its standard fp32 folder: model.onnx with three inputs, and tokenizer.

    Args:
        checkpoint: the checkpoint's folder.
        out: the folder to write.
    """
    from optimum.exporters.onnx import main_export

    logging.getLogger("optimum").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracer warnings about constants: checked by the gate
        main_export(
            str(checkpoint),
            output=str(out),
            task="feature-extraction",
            library_name="transformers",
            framework="pt",
            opset=OPSET,
            do_validation=False,
        )


class SentenceTransformersReference:
    """sentence-transformers on torch, in float32; optimum judges beside it."""

    libraries: tuple[str, ...] = (
        *("optimum", "optimum-onnx", "scipy"),
        *("sentence-transformers", "torch", "transformers"),
    )

    golden: GoldenTexts | None = None

    def __init__(self, checkpoint: Path) -> None:
        """Load a checkpoint folder.

        Raises:
            ArtifactError: sentence-transformers cannot, at least not without code of the folder's.
        """
        from sentence_transformers import SentenceTransformer

        check_folder(checkpoint)
        self.folder = checkpoint
        try:
            with readable(checkpoint) as folder:
                self.model = SentenceTransformer(
                    str(folder),
                    device="cpu",
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={
                        "use_safetensors": True,
                        "weights_only": True,
                        "dtype": "float32",
                    },
                )
        except Exception as error:  # transformers and what it calls raise of every kind
            raise ArtifactError(
                f"{checkpoint}: expected a folder that sentence-transformers loads without code "
                f"in it and without pickles, got {type(error).__name__}: {shorten(str(error))}; "
                "load it with the versions that config_sentence_transformers.json names, to see "
                "whether it is whole"
            ) from error

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts, (N, H) float32, of whatever length the model gives them.

        One at a time: padding moves the last bits, and the reference should have none.
        """
        return np.stack([self._embed(text) for text in texts]).astype(np.float32)

    def _embed(self, text: str) -> npt.NDArray[np.float32]:
        try:
            row: npt.NDArray[np.float32] = self.model.encode([text], show_progress_bar=False)[0]
        except Exception as error:  # torch and what it calls raise of every kind
            raise ArtifactError(
                f"{self.folder}: expected a vector of {shorten(text)!r} by sentence-transformers, "
                f"got {type(error).__name__}: {shorten(str(error))}; mend the model"
            ) from error
        return row

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Give the token ids that it feeds to the model."""
        return [
            [int(token) for token in self.model.preprocess([text])["input_ids"][0]]
            for text in texts
        ]
