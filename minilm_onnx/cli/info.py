"""minilm-onnx info: which model, which versions, which CPU."""

import argparse
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import tokenizers

from minilm_onnx import __version__
from minilm_onnx.cli.options import Subparsers, add_command, load_encoder
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.engine.cpus import available_cpus, cgroup_quota, cpu_flags
from minilm_onnx.engine.native import KERNEL, NONE, find_library, kernels
from minilm_onnx.engine.policy import products_saturate
from minilm_onnx.engine.silent import onnxruntime
from minilm_onnx.verify.verification import kernel_of, promise


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "info",
        summary="which model, which versions, which CPU",
        description="Verify the sha256 hashes of the model folder, and say what runs here.",
        examples=(
            "minilm-onnx info",
            "minilm-onnx info --model model-fp32 --json",
        ),
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def surroundings(encoder: SentenceEncoder) -> dict[str, Any]:
    """Say on what an encoder runs, and how."""
    import platform  # not needed by the other commands, and 20 ms to load

    return {
        "runtime": encoder.runtime,
        "promise": promise(encoder),
        "native": native_facts(encoder),
        "policy": asdict(encoder.policy),
        "cpus": available_cpus(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        # As they say themselves: a frozen program has no metadata of its packages.
        "versions": {
            "minilm-onnx": __version__,
            "onnxruntime": onnxruntime.__version__,
            "tokenizers": tokenizers.__version__,
            "numpy": np.__version__,
        },
    }


def native_facts(encoder: SentenceEncoder) -> dict[str, Any]:
    """Say which kernel of the native operators an encoder runs, and which this CPU could run."""
    library = find_library() if kernel_of(encoder) else None
    return {
        "kernel": kernel_of(encoder),
        "library": str(library) if library else None,
        "kernels": [asdict(kernel) for kernel in kernels(library)] if library else [],
        "amx": "amx_int8" in cpu_flags(),
    }


def kernel_in_words(facts: dict[str, Any]) -> str:
    """Say which kernels compute, from `surroundings`."""
    used, wrong = facts["native"]["kernel"], "; not {}, whose bits are wrong here: report it"
    if used is None:
        return "onnxruntime's own" + (" in bf16" if facts["policy"]["bf16"] else "")
    here = [kernel for kernel in facts["native"]["kernels"] if kernel["runs"]]
    right = ", ".join(kernel["name"] for kernel in here if kernel["right"])
    others = ", ".join(kernel["name"] for kernel in here if not kernel["right"])
    said = f"{used} of the native library; {KERNEL} takes {right} or {NONE}"
    return said + (wrong.format(others) if others else "")


def where(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Say in words where an encoder runs, from `surroundings`."""
    amx = (
        "this CPU has AMX, which onnxruntime's kernels use and the native ones do not; compare "
        f"bench with {KERNEL}={NONE} and without"
    )
    return [
        ("kernel", kernel_in_words(facts)),
        *([("amx", amx)] if facts["native"]["amx"] and facts["native"]["kernel"] else []),
        ("promise", facts["promise"]),
        ("machine", f"{facts['machine']}, {facts['system']}, Python {facts['python']}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in facts["versions"].items())),
    ]


def run(options: argparse.Namespace) -> int:
    """Print the facts, as text or as JSON."""
    encoder = load_encoder(options)
    manifest = encoder.manifest
    facts: dict[str, Any] = {
        "folder": str(encoder.folder),
        "model": asdict(manifest) if manifest else None,
        "max_seq_length": encoder.max_seq_length,
        "dimension": encoder.dimension,
        **surroundings(encoder),
        "cgroup_quota": cgroup_quota(),
        "products_saturate": products_saturate(),
    }
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    if manifest:
        prompts = ", ".join(name for name, text in manifest.prompts.items() if text)
        rows = [
            ("model", f"{manifest.model_id} ({manifest.license})"),
            ("made of", manifest.made_of),
            ("languages", manifest.languages),
            ("prompts", prompts or "none"),
            ("precision", manifest.precision),
            ("parity", manifest.agreement),
            ("verified", "sha256 of graph, weights and tokenizer match the manifest"),
        ]
    else:
        rows = [("model", "a graph without a manifest: not verified, read as all-MiniLM-L6-v2")]
    normalized = manifest is None or manifest.normalize
    length = "unit length" if normalized else "of unit length where a command or option asks for it"
    policy = encoder.policy
    waiting = "spinning" if policy.spinning else "sleeping"
    cpus = ", ".join(map(str, policy.pinned))
    places = f"while at work each keeps to its own of {cpus}" if cpus else "placed by the system"
    saturation = (
        "8-bit products saturate" if facts["products_saturate"] else "8-bit products are exact"
    )
    chosen = "exact, slower" if policy.exact_products else "its fastest"
    products = f"this CPU's {saturation}; {chosen} kernels are used"
    if facts["native"]["kernel"]:
        products = "8-bit products of the native operators are exact on every CPU"
    if policy.bf16:
        products = "float32 is rounded to bf16 and multiplied; the sums are float32"
    rows += [
        ("folder", facts["folder"]),
        ("reads", f"{facts['max_seq_length']} tokens a text"),
        ("gives", f"{facts['dimension']} components, {length}"),
        ("threads", f"{policy.threads} of {facts['cpus']} CPUs; {places}"),
        ("waiting", f"by {waiting} for the others' part of a batch; asleep between runs"),
        ("products", products),
        ("runs", f"of up to {policy.token_budget} tokens a thread"),
        *where(facts),
    ]
    for name, value in rows:
        print(f"{name:<10} {value}")
    return 0
