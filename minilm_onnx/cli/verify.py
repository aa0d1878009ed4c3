"""minilm-onnx verify: whether the model does on this machine what it should."""

import argparse
import json
import sys
from dataclasses import asdict

from minilm_onnx.cli.info import surroundings, where
from minilm_onnx.cli.options import Subparsers, add_command, load_encoder
from minilm_onnx.engine.cpus import cgroup_quota, cpu_name
from minilm_onnx.measure.others import others_between, read_cpus
from minilm_onnx.verify.verification import advise, measure_speed, run_checks


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = add_command(
        subparsers,
        run,
        "verify",
        summary="whether the model works as it should on this machine",
        description="Compare files, tokenizer, vectors and bits with what the export stored of its "
        "reference, measure the speed for a second, and give advice. Takes a few seconds. Exits "
        "with 1 if something is wrong.",
        examples=(
            "minilm-onnx verify",
            "minilm-onnx verify --json > verified.json",
        ),
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Check, then print as text or as JSON."""
    encoder = load_encoder(options)
    checks = run_checks(encoder)
    ok = all(check.ok for check in checks)
    before = read_cpus()
    speed, others = measure_speed(encoder), others_between(before, read_cpus())
    advice = advise(encoder)
    facts, cpu, quota = surroundings(encoder), cpu_name(), cgroup_quota()
    if options.json:
        print(
            json.dumps(
                {
                    "ok": ok,
                    "cpu": cpu,
                    **facts,
                    "cgroup_quota": quota,
                    "fingerprint": encoder.fingerprint,
                    "checks": [asdict(check) for check in checks],
                    "texts_per_second": speed,
                    "others": asdict(others),
                    "advice": advice,
                },
                indent=2,
            )
        )
        return 0 if ok else 1
    share = f", a quota of {quota:g}" if quota else ""
    rows = [
        ("cpu", cpu),
        ("threads", f"{encoder.policy.threads} of {facts['cpus']} CPUs{share}"),
        *where(facts),
        ("model", encoder.fingerprint),
        *((check.name, f"{'ok    ' if check.ok else 'WRONG '} {check.found}") for check in checks),
        ("speed", f"{speed:,.0f} texts/s; minilm-onnx bench says more"),
        *([("meanwhile", others.said)] if others.said else []),
        *(("advice", line) for line in advice),
    ]
    for name, value in rows:
        print(f"{name:<10} {value}")
    if not ok:
        print("error: the vectors are not to be trusted; see WRONG above", file=sys.stderr)
    return 0 if ok else 1
