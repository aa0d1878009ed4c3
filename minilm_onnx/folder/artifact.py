"""A model folder: graph, weights, tokenizer, and the manifest.json that vouches for them.

The weights are a file of their own (ONNX calls it external data) because onnxruntime maps such a
file into memory where it would copy an .onnx file twice: half the time to load, and 39 MiB less.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short  # of what may be long
from typing import cast

from minilm_onnx.errors import ArtifactError
from minilm_onnx.folder.files import check_file, external_files, sha256_of
from minilm_onnx.folder.finding import HOME
from minilm_onnx.folder.layout import DENSE, GRAPH, LOADED, MANIFEST, WEIGHTS
from minilm_onnx.folder.manifest import MAX_TOKENS, Manifest, parse_manifest
from minilm_onnx.folder.small import CONFIG, SMALL, read_small_files
from minilm_onnx.folder.states import State, states_of, unchanged
from minilm_onnx.vectors.similarity import Measure

READ = {MANIFEST, DENSE, *LOADED, *SMALL}


@dataclass(frozen=True)
class Artifact:
    """A model folder.

    What a folder without a manifest does not say of itself is as in all-MiniLM-L6-v2.

    Attributes:
        folder: where it lies, links followed, so that a link that is set to another folder later
            does not mix the two.
        manifest: what it is; None for a folder written by optimum, which has none.
        sha256: of each file, by name; without a manifest, of what it was when first looked at.
        states: of the folder and what is read of it, from before any was read.
        max_seq_length: tokens the model reads of a text.
        positions: see `Manifest`, as are the others.
    """

    folder: Path
    manifest: Manifest | None
    sha256: dict[str, str]
    states: dict[Path, State]
    max_seq_length: int
    positions: int = MAX_TOKENS
    pooling: str = "mean"
    normalize: bool = True
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str = ""
    similarity_fn_name: Measure = "cosine"
    unknown_token: str = "[UNK]"

    @property
    def graph(self) -> Path:
        """The file that onnxruntime loads, and through which it finds the weights."""
        return self.folder / GRAPH

    def verify(self, *names: str) -> None:
        """Check files against their sha256.

        Raises:
            ArtifactError: one is missing, unreadable or altered.
        """
        for name in names:
            path = self.folder / name
            found = sha256_of(path)
            expected = self.sha256.setdefault(name, found)
            if found != expected:
                raise ArtifactError(
                    f"{path}: expected sha256 {expected}, got {found} "
                    f"({path.stat().st_size} bytes); "
                    "the file was altered or cut short: export the folder again, or reinstall "
                    "minilm-onnx if it is the bundled one"
                )

    def check_graph(self) -> list[str]:
        """Check what must hold before onnxruntime opens graph and weights.

        Returns:
            The names of the files that hold the weights.

        Raises:
            ArtifactError: one is missing, not a file, too large or not in the folder, or the graph
                is altered.
        """
        check_file(self.graph)
        if self.manifest:
            self.verify(GRAPH)
        names = external_files(self.graph)
        for name in names:
            check_file(self.folder / name)
        if self.manifest and not set(names) <= {WEIGHTS}:  # optimum's folders have another name
            raise ArtifactError(
                f"{self.graph}: expected weights in {WEIGHTS}, got {short(names)}; "
                "export the folder again"
            )
        return names

    @contextmanager
    def verified_graph(self) -> Iterator[None]:
        """Check graph and weights, and that the block loads what was checked.

        Raises:
            ArtifactError: one is missing, unreadable or altered, or was replaced meanwhile.
        """
        names = self.check_graph()
        with unchanged([self.folder, self.graph, *(self.folder / name for name in names)]):
            self.verify(GRAPH, *names)
            yield


def load_artifact(folder: Path) -> Artifact:
    """Find out what a model folder holds; its files are verified as they are read.

    With a manifest.json they must match it to the byte. A folder that optimum wrote has
    a config.json instead, which does not say how to pool: it is taken where it can be of
    all-MiniLM-L6-v2, and read as that, mean pooling over 256 tokens, unless files of
    sentence-transformers beside it say otherwise.

    Raises:
        ArtifactError: the folder or its manifest is missing, unreadable or unfamiliar.
    """
    try:
        folder = folder.resolve()  # so that it outlives a change of directory, or of a link
        names = {path.name for path in folder.iterdir()}
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # of a NUL in its name; of links in circles
        raise ArtifactError(
            f"{folder}: expected a model folder, got {getattr(error, 'strerror', error)}; "
            "install the model with `minilm-onnx get NAME` or `minilm-onnx export FOLDER`, give "
            f"the name of one in {HOME} (`minilm-onnx models` lists them), or nothing for the "
            "bundled model"
        ) from error
    if CONFIG in names and not names & {MANIFEST, GRAPH}:
        raise ArtifactError(
            f"{folder}: expected a model folder, got a checkpoint; make one of it with "
            "`minilm-onnx export FOLDER --out DIR`"
        )
    states = states_of([folder, *(folder / name for name in sorted(names & READ))])
    if MANIFEST not in names and CONFIG in names:
        limit, pooling, normalize = read_small_files(folder, names)
        return Artifact(folder, None, {}, states, limit, pooling=pooling, normalize=normalize)
    manifest = parse_manifest(folder)
    return Artifact(
        folder,
        manifest,
        dict(manifest.files),
        states,
        manifest.max_seq_length,
        positions=manifest.positions,
        pooling=manifest.pooling,
        normalize=manifest.normalize,
        prompts=manifest.prompts,
        default_prompt_name=manifest.default_prompt_name,
        similarity_fn_name=cast(Measure, manifest.similarity_fn_name),  # checked as it was read
        unknown_token=manifest.unknown_token,
    )
