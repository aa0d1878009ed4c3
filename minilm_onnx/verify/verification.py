"""Whether the model does on this machine what it did where it was made."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray, IndexArray
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.cpus import affinity, available_cpus, cgroup_quota, governors, machine_cpus
from minilm_onnx.engine.native import KERNEL, RUNTIME, native, no_native
from minilm_onnx.errors import ArtifactError, InputError, MiniLMError
from minilm_onnx.folder.artifact import load_artifact
from minilm_onnx.folder.layout import GRAPH, MANIFEST
from minilm_onnx.folder.manifest import Manifest
from minilm_onnx.measure.sample import sample_texts
from minilm_onnx.vectors.pooling import l2_normalize
from minilm_onnx.verify.golden import GoldenTexts, bits_of, read_golden

# int8: cosine to sentence-transformers in fp32, which tests/encoder/test_parity.py holds on many
# more texts; products that saturate give a mean of 0.997.
MEAN_COSINE, MIN_COSINE = 0.999, 0.99
# fp32: largest difference of any component.
MAX_DIFFERENCE = 1e-5
SPEED_TEXTS = 60
SPEED_SECONDS = 1.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of what.
        ok: whether it is as it should be.
        found: in words; where it is not ok also what was expected, and what to do.
    """

    name: str
    ok: bool
    found: str


def run_checks(encoder: SentenceEncoder) -> list[Check]:
    """Check files, token ids, vectors and bits. Takes seconds.

    Args:
        encoder: of a folder with a manifest; it has loaded, so its files were verified once.

    Raises:
        ArtifactError: the folder has no manifest, so nothing says what it should do.
        InputError: it multiplies in bf16.
    """
    if encoder.policy.bf16:
        raise InputError(
            "bf16: expected False where vectors are verified, since sentence-transformers' are "
            f"compared to {MAX_DIFFERENCE:g}, which bf16 cannot give, got True; leave it out"
        )
    manifest = encoder.manifest
    if manifest is None:
        raise ArtifactError(
            f"{encoder.folder}: expected a {MANIFEST} to check against, got a folder without one; "
            "export it with `minilm-onnx export`"
        )
    checks = [_check("files", lambda: check_files(encoder.folder))]
    try:
        golden = read_golden(encoder.folder, encoder.dimension)
    except ArtifactError as error:
        return [*checks, Check("golden", False, str(error))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of them are there because they are unreadable
        vectors = encoder.encode(golden.texts)
        return [
            *checks,
            _check("tokens", lambda: check_tokens(encoder, golden)),
            _check("vectors", lambda: check_vectors(encoder, manifest, golden, vectors)),
            _check("bits", lambda: check_bits(encoder, golden.texts, vectors)),
        ]


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except MiniLMError as error:
        return Check(name, False, str(error))


def check_files(folder: Path) -> str:
    """Raise ArtifactError if a file's sha256 is not the manifest's."""
    artifact = load_artifact(folder)
    artifact.verify(*artifact.sha256)
    return f"sha256 of {', '.join(artifact.sha256)} match the manifest"


def check_tokens(encoder: SentenceEncoder, golden: GoldenTexts) -> str:
    """Raise MiniLMError at the first text whose token ids are not the golden ones."""
    found = [row.tolist() for row in encoder.tokenize_texts(golden.texts).ids]
    for place, (ids, expected) in enumerate(zip(found, golden.ids, strict=True)):
        if ids != expected:
            raise MiniLMError(
                f"golden text {place}: expected the token ids {expected[:8]}..., got {ids[:8]}...; "
                "this release of tokenizers reads texts differently: install another, and report it"
            )
    return f"{len(found)} texts have the expected token ids"


def check_vectors(
    encoder: SentenceEncoder, manifest: Manifest, golden: GoldenTexts, vectors: FloatArray
) -> str:
    """Raise MiniLMError if vectors are not what they should be.

    Args:
        encoder: what gave the vectors.
        manifest: of its folder.
        golden: the texts, and the reference's vectors.
        vectors: of the texts, (N, H) float32; from native operators each of their bits is known.
    """
    unit = vectors if manifest.normalize else l2_normalize(vectors)
    found = check_cosines(manifest, golden, unit)
    kernel = kernel_of(encoder)
    if kernel is None or not manifest.bits:
        return found
    bits = bits_of(vectors)
    if bits != manifest.bits:
        raise MiniLMError(
            f"vectors: expected the bits that every CPU gives, sha256 {manifest.bits}, got {bits} "
            f"from the kernel {kernel} ({found}); set {KERNEL}=plain to see whether the kernel is "
            "the cause, and report it"
        )
    return f"the same bits as on every CPU: sha256 {bits[:16]}...; {found}"


def check_cosines(manifest: Manifest, golden: GoldenTexts, vectors: FloatArray) -> str:
    """Raise MiniLMError if vectors are further from the reference's than they may be."""
    cosines = (l2_normalize(vectors) * golden.vectors).sum(axis=1)
    mean, least = float(cosines.mean()), float(cosines.min())
    difference = float(np.abs(vectors - golden.vectors).max())
    found = f"cosine to {manifest.judge}: mean {mean:.4f}, least {least:.4f}"
    close = mean >= MEAN_COSINE and least >= MIN_COSINE
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.abs(lengths - 1).max() <= MAX_DIFFERENCE:
        raise MiniLMError(
            f"vectors: expected length 1, got {lengths.min():.4f} to {lengths.max():.4f}; try "
            "another release of numpy, and report it"
        )
    if not (difference <= MAX_DIFFERENCE if manifest.precision == "fp32" else close):
        limit = (
            f"no component to differ by more than {MAX_DIFFERENCE:g}"
            if manifest.precision == "fp32"
            else f"at least {MEAN_COSINE} and {MIN_COSINE}"
        )
        raise MiniLMError(
            f"vectors: expected {limit}, got {found.partition(': ')[2]}, difference "
            f"{difference:.2g}; try --exact-products, or another release of onnxruntime, and "
            "report it"
        )
    return found


def check_bits(encoder: SentenceEncoder, texts: Sequence[str], vectors: FloatArray) -> str:
    """Raise MiniLMError if a text has other bits alone, in other company, or on one thread."""
    for how, different in other_bits(encoder, texts, vectors):
        raise MiniLMError(
            f"bits: expected the same {how}, got others for {len(different)} of {len(texts)} "
            "texts; this release of onnxruntime computes a row differently in a batch: "
            "install another, and report it"
        )
    return "a text has the same bits alone, in company, in any order, with one thread or more"


def kernel_of(encoder: SentenceEncoder) -> str | None:
    """Name the kernel of the native operators that an encoder runs; None where it runs none."""
    library = native() if encoder.runtime == RUNTIME else None
    return library.kernel if library else None


def promise(encoder: SentenceEncoder) -> str:
    """Say where a text has the same vector as here, bit for bit, and why not everywhere."""
    if kernel_of(encoder):
        return "the same bits on every CPU, with any version of onnxruntime and numpy"
    why = no_native(encoder.folder / GRAPH)
    return f"the same bits on CPUs of one kind, with {encoder.runtime} alone: {why}"


def other_bits(
    encoder: SentenceEncoder, texts: Sequence[str], vectors: FloatArray
) -> Iterator[tuple[str, IndexArray]]:
    """Find the texts that have other bits alone, in other company, or on one thread.

    Args:
        encoder: what gave the vectors, or another of the same folder.
        texts: what was embedded.
        vectors: what came of it, together.

    Yields:
        How they were embedded again, and the positions of those that differ, if any do.
    """
    one = SentenceEncoder(
        encoder.folder, threads=1, exact_products=encoder.policy.exact_products
    ).encode(texts[::-1], batch_size=3)[::-1]
    alone = np.stack([encoder.encode(text) for text in texts])
    for how, found in (("backwards, three at a time, on one thread", one), ("alone", alone)):
        different = np.flatnonzero((found != vectors).any(axis=1))
        if len(different):
            yield how, different


def measure_speed(encoder: SentenceEncoder) -> float:
    """Give texts a second over a second or so of made-up texts; `bench` says more."""
    texts = sample_texts(SPEED_TEXTS)
    encoder.encode(texts)
    passes, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < SPEED_SECONDS:
        encoder.encode(texts)
        passes += 1
    return passes * len(texts) / spent


def advise(encoder: SentenceEncoder) -> list[str]:
    """Say what would make this machine faster, or what it lacks."""
    policy, quota, cpus = encoder.policy, cgroup_quota(), machine_cpus()
    advice = []
    if policy.exact_products and kernel_of(encoder) is None:
        advice.append(
            "this CPU's 8-bit products saturate, so exact kernels are used, which are slower; "
            "a CPU with VNNI (x86) would be several times as fast"
        )
    steady = policy.threads if quota is None else max(1, int(quota))
    if steady < policy.threads:
        advice.append(
            f"the cgroup allows {quota:g} CPUs and {policy.threads} threads work, so they will be "
            f"stopped now and then; --threads {steady} is steadier"
        )
    elif policy.threads > available_cpus():
        advice.append(
            f"{policy.threads} threads for {available_cpus()} CPUs slow each other down; leave "
            "--threads out"
        )
    if affinity() and len(affinity()) < cpus:
        advice.append(f"this process may use {len(affinity())} of the machine's {cpus} CPUs")
    if slow := sorted(set(governors()) & {"powersave", "conservative"}):
        advice.append(
            f"the CPU's governor is {', '.join(slow)}, which may hold its clock down; "
            "performance, schedutil or ondemand does not"
        )
    return advice
