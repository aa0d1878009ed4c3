"""What several contenders' conversions share; runs in the environment of REQUIREMENTS."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import MAX_TOKENS

# The versions that made this project's own model, and the converters.
REQUIREMENTS = (
    "torch==2.13.0",
    "numpy==2.4.6",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "optimum==2.1.0",
    "optimum-onnx==0.1.0",
    "scipy==1.17.1",
    "sentence-transformers==5.7.0",
    "tokenizers==0.22.2",
    "transformers==4.57.6",
    "nncf==3.4.0",
    "openvino==2026.4.1",
    "openvino-tokenizers==2026.4.1.0",
    "ctranslate2==4.8.5",
    "tqdm==4.70.1",
    ".",
)
CHECKPOINT_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)


def copy_files(checkpoint: Path, folder: Path, names: Sequence[str] = CHECKPOINT_FILES) -> None:
    """Copy files of the checkpoint, with their sub-folders."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkpoint / name, folder / name)


def set_limit(folder: Path) -> None:
    """Make a folder's tokenizer files say 256 tokens, which they do not: they say 128 and 512."""
    edit(folder / "tokenizer_config.json", model_max_length=MAX_TOKENS, max_length=MAX_TOKENS)
    path = folder / "tokenizer.json"
    fields = json.loads(path.read_text("utf-8"))
    fields["truncation"] = {
        "direction": "Right",
        "max_length": MAX_TOKENS,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    fields["padding"] = None
    path.write_text(json.dumps(fields, ensure_ascii=False), "utf-8")


def edit(path: Path, **changes: object) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes, indent=2), "utf-8")


@contextmanager
def standard_folder(checkpoint: Path) -> Iterator[Path]:
    """Let optimum write its standard fp32 folder for as long as a conversion needs it."""
    from export.reference import export_standard

    with tempfile.TemporaryDirectory() as scratch:
        standard = Path(scratch) / "standard"
        export_standard(checkpoint, standard)
        yield standard


def quantize_dynamic(checkpoint: Path, folder: Path) -> None:
    """Quantise the standard fp32 graph as the hub's model_qint8_avx512_vnni.onnx was.

    That file was written by sentence-transformers' export_dynamic_quantized_onnx_model, which
    gives optimum this configuration: dynamic, a scale a column, nothing reduced in range.

    Args:
        checkpoint: the checkpoint's folder.
        folder: where to write model_quantized.onnx.
    """
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    with standard_folder(checkpoint) as standard:
        ORTQuantizer.from_pretrained(standard, file_name="model.onnx").quantize(
            AutoQuantizationConfig.avx512_vnni(is_static=False), save_dir=folder
        )
