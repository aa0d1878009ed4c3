"""Whether the workers of a cluster compute the same bits as the process that began the job."""

import platform
from collections.abc import Mapping

from minilm_onnx import __version__
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import MiniLMError

# What to do where a worker has another.
REMEDIES = {
    "version": "install the same version of minilm-onnx on every machine",
    "fingerprint": "give every machine the same model folder",
    "runtime": "install the native library on every machine, or on none and the same version of "
    "onnxruntime on each (`minilm-onnx info` says which it is, and why)",
}


def made_by(encoder: SentenceEncoder) -> dict[str, str]:
    """Return what an encoder's vectors depend on, for `check_worker` on every machine.

    Args:
        encoder: the driver's encoder, made with the same arguments as those of the workers.

    Returns:
        A dict with "version" (of this package), "fingerprint" and "runtime" (of the encoder):
        plain data that any cluster can send.
    """
    return {
        "version": __version__,
        "fingerprint": encoder.fingerprint,
        "runtime": encoder.runtime,
    }


def check_worker(encoder: SentenceEncoder, expected: Mapping[str, str]) -> None:
    """Refuse to work if vectors could have different bits from those of other workers.

    Args:
        encoder: the worker's encoder.
        expected: the result of `made_by` in the driver.

    Raises:
        MiniLMError: the version, fingerprint or runtime differs; the message names the machine.
    """
    found = made_by(encoder)
    others = [name for name in found if expected.get(name) != found[name]]
    if others:
        wanted = ", ".join(f"{name} {expected.get(name)}" for name in others)
        got = ", ".join(f"{name} {found[name]}" for name in others)
        raise MiniLMError(
            f"worker on {platform.node()}: expected {wanted}, as the driver has, got {got}, whose "
            f"vectors may have different bits; {', and '.join(REMEDIES[name] for name in others)}"
        )
