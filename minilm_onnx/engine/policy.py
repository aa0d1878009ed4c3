"""How this CPU is used: threads, waiting, kernels, tokens a run."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.checks import check_positive
from minilm_onnx.engine.batches import TOKEN_BUDGET
from minilm_onnx.engine.cpus import affinity, available_cpus
from minilm_onnx.engine.silent import onnxruntime, open_session
from minilm_onnx.errors import InputError, shown
from minilm_onnx.folder.finding import packaged

PROBES = Path(__file__).parents[1] / "probes"
SATURATION = PROBES / "saturation.onnx"
BF16 = PROBES / "bf16.onnx"
# onnxruntime's name for float32 products in bf16; it is ignored where there are no such kernels.
BF16_ENTRY = "mlas.enable_gemm_fastmath_arm64_bfloat16"
# More than any machine has; beyond it onnxruntime's own limits fail in less clear ways.
MAX_THREADS = 4096


@dataclass(frozen=True)
class Policy:
    """How the CPU is used.

    Attributes:
        threads: threads that work at a time.
        spinning: whether threads that share a batch wait for each other by spinning, which is a
            third faster than sleeping. None spins between runs either way.
        pinned: the CPU that each thread stays on while it works; empty to leave that to the
            system, which may have two threads that wait for each other share a CPU.
        exact_products: whether int8 products of onnxruntime's are left to kernels that cannot
            saturate; the native operators cannot anyway.
        bf16: whether onnxruntime rounds float32 to bf16 before it multiplies; sums stay float32.
        token_budget: tokens a run may hold, which bounds the memory of each thread.
    """

    threads: int
    spinning: bool
    pinned: tuple[int, ...]
    exact_products: bool
    bf16: bool
    token_budget: int


def choose_policy(
    *,
    threads: int | None = None,
    spinning: bool | None = None,
    pinning: bool | None = None,
    exact_products: bool | None = None,
    bf16: bool = False,
    token_budget: int | None = None,
    native: bool = False,
    precision: str = "unknown",
) -> Policy:
    """Complete a policy: what is None is chosen for this CPU.

    Args:
        threads: see `Policy`, as are the others.
        spinning: likewise.
        pinning: whether each thread keeps to a CPU of its own.
        exact_products: likewise.
        bf16: likewise.
        token_budget: likewise.
        native: whether native operators compute, so that nobody has to ask what saturates.
        precision: of the model folder, on which `bf16` depends: "fp32", "int8" or "unknown".

    Raises:
        InputError: a number is not a positive integer of a sane size, a switch not a bool, there
            are fewer CPUs than threads to pin, or bf16 would have no effect.
    """
    switches = {"spinning": spinning, "pinning": pinning, "exact_products": exact_products}
    for name, switch in switches.items():
        if switch is not None and not isinstance(switch, bool):
            raise InputError(
                f"{name}: expected True, False or None, got {shown(switch)}; leave it out"
            )
    if threads is None:
        threads = available_cpus()
    if token_budget is None:
        token_budget = TOKEN_BUDGET
    threads = check_positive("threads", threads, MAX_THREADS)
    token_budget = check_positive("token_budget", token_budget)
    cpus = affinity()
    if pinning is None:
        # Of fewer threads than CPUs, another process' might be pinned to the same.
        pinning = 1 < threads == len(cpus)
    if pinning and threads > len(cpus):
        raise InputError(
            f"pinning: expected at most {len(cpus)} threads, one for each CPU of this process, "
            f"got {threads}; leave it out"
        )
    if exact_products is None:
        exact_products = not native and products_saturate()
    _check_bf16(bf16, precision)
    return Policy(
        threads=threads,
        spinning=True if spinning is None else spinning,
        pinned=tuple(cpus[:threads]) if pinning else (),
        exact_products=exact_products,
        bf16=bf16,
        token_budget=token_budget,
    )


def _check_bf16(bf16: bool, precision: str) -> None:
    """Raise InputError unless bf16 is a bool, and False where it would have no effect."""
    if not isinstance(bf16, bool):
        raise InputError(f"bf16: expected True or False, got {shown(bf16)}; leave it out")
    if bf16 and precision != "fp32":
        raise InputError(
            f"bf16: expected False with a model folder whose precision is {precision}, got True; "
            "leave it out, or install one with `minilm-onnx get all-MiniLM-L6-v2 --precision fp32`"
        )
    if bf16 and not multiplies_in_bf16():
        import platform  # 20 ms to load

        raise InputError(
            f"bf16: expected False, since onnxruntime {onnxruntime.__version__} multiplies float32 "
            f"as float32 on this CPU ({platform.machine()}, {platform.system()}), got True; leave "
            "it out"
        )


@functools.cache
def products_saturate() -> bool:
    """Find out whether this CPU's kernels for uint8 rows and int8 weights saturate.

    x86 without VNNI sums pairs of 8-bit products in 16 bits, which the largest codes overflow
    (onnxruntime's documentation of quantization, reduce_range). What the CPU does is asked of
    itself: a product of the largest codes is exact or it is not.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = open_session(packaged(SATURATION), options)
    width = session.get_inputs()[0].shape[1]
    rows = np.full((8, width), 255, dtype=np.uint8)
    return bool(np.any(session.run(None, {"rows": rows})[0] != 255 * 127 * width))


@functools.cache
def multiplies_in_bf16() -> bool:
    """Find out whether onnxruntime multiplies float32 in bf16 where BF16_ENTRY asks it to.

    It needs a build that has these kernels and a CPU that has the instructions. A product says
    whether both are there: 1 + 2^-10 times 1 is exact in float32, and rounded in bf16, which keeps
    8 bits (https://arxiv.org/abs/1905.12322).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry(BF16_ENTRY, "1")
    session = open_session(packaged(BF16), options)
    rows = np.full((2, session.get_inputs()[0].shape[1]), 1 + 2**-10, dtype=np.float32)
    return bool(np.any(session.run(None, {"rows": rows})[0] != rows))
