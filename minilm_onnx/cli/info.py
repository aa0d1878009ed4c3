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
from minilm_onnx.engine.cpus import available_cpus, cgroup_quota
from minilm_onnx.engine.policy import products_saturate
from minilm_onnx.engine.silent import onnxruntime


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "info",
        summary="which model, which versions, which CPU",
        description="Verify the model folder's sha256 sums and say what runs here.",
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


def where(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Say in words where an encoder runs, from `surroundings`."""
    return [
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
    kernels = "exact, slower" if policy.exact_products else "its fastest"
    rows += [
        ("folder", facts["folder"]),
        ("reads", f"{facts['max_seq_length']} tokens a text"),
        ("gives", f"{facts['dimension']} components, {length}"),
        ("threads", f"{policy.threads} of {facts['cpus']} CPUs; {places}"),
        ("waiting", f"by {waiting} for the others' part of a batch; asleep between runs"),
        ("products", f"this CPU's {saturation}; {kernels} kernels are used"),
        ("runs", f"of up to {policy.token_budget} tokens a thread"),
        *where(facts),
    ]
    for name, value in rows:
        print(f"{name:<10} {value}")
    return 0
