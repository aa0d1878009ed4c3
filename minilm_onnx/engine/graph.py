"""One graph in onnxruntime: how it is loaded, and what it asks for and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray, IdArray
from minilm_onnx.engine.native import KERNEL, NONE, Native
from minilm_onnx.engine.policy import BF16_ENTRY, Policy
from minilm_onnx.engine.silent import onnxruntime, open_session, remedy
from minilm_onnx.errors import ArtifactError, SessionError

# What a graph may ask for beside the ids, and what a batch without padding answers.
KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
# What optimum and sentence-transformers call the (B, T, H) output.
HIDDEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
BASIC = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
EXTENDED = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED


@dataclass(frozen=True)
class Interface:
    """What a graph asks for, and what it gives.

    Attributes:
        inputs: names of its inputs.
        output: name of the hidden state among its outputs.
        dimension: width H of the hidden state.
    """

    inputs: Sequence[str]
    output: str
    dimension: int

    def run(self, session: onnxruntime.InferenceSession, ids: IdArray) -> FloatArray:
        """Compute the last hidden state of texts of equal length.

        Args:
            session: of the graph.
            ids: token ids, (B, T) int64.

        Returns:
            (B, T, H) float32.

        Raises:
            SessionError: onnxruntime failed.
            ArtifactError: the graph gave something of another shape.
        """
        feed = {"input_ids": ids}
        if "attention_mask" in self.inputs:
            feed["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self.inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        try:
            hidden: FloatArray = session.run([self.output], feed)[0]
        except Exception as error:  # onnxruntime's exceptions share no public base
            what = f"onnxruntime {onnxruntime.__version__} failed on ids of shape {ids.shape}"
            report = "report it with this message if the ids are those of tokenize_texts"
            raise SessionError(f"{what}: {error}; {remedy(error, report)}") from error
        expected = (*ids.shape, self.dimension)
        if hidden.shape != expected or hidden.dtype != np.float32:
            raise ArtifactError(
                f"graph output {self.output}: expected float32 of shape {expected}, as the "
                f"graph declares, got {hidden.dtype} of {hidden.shape}; export the model folder "
                "again"
            )
        return hidden


def read_interface(session: onnxruntime.InferenceSession) -> Interface:
    """Ask a graph for the names of its inputs and outputs.

    Raises:
        ArtifactError: it asks for an input that is unknown here, or gives no hidden state, or
            something else than it says.
        SessionError: onnxruntime cannot run it.
    """
    inputs = [node.name for node in session.get_inputs()]
    unknown = sorted(set(inputs) - KNOWN_INPUTS)
    if unknown or "input_ids" not in inputs:
        raise ArtifactError(
            f"graph inputs: expected input_ids and at most attention_mask and "
            f"token_type_ids, got {', '.join(inputs)}; export the model folder again"
        )
    outputs = [node.name for node in session.get_outputs()]
    output = next((name for name in HIDDEN_OUTPUTS if name in outputs), None)
    if output is None:
        raise ArtifactError(
            f"graph outputs: expected {' or '.join(HIDDEN_OUTPUTS)}, "
            f"got {', '.join(outputs)}; export with task feature-extraction"
        )
    found = session.get_outputs()[outputs.index(output)]
    width = found.shape[-1] if len(found.shape) == 3 else None
    if found.type != "tensor(float)" or not isinstance(width, int) or width < 1:
        raise ArtifactError(
            f"graph output {output}: expected float32 of three axes, the last one fixed, got "
            f"{found.type} of {found.shape}; export with task feature-extraction"
        )
    interface = Interface(inputs, output, width)
    # What a graph says of its output need not be so; the shortest text shows it.
    interface.run(session, np.zeros((1, 2), dtype=np.int64))
    return interface


def load_graph(
    graph: Path, policy: Policy, library: Native | None = None
) -> onnxruntime.InferenceSession:
    """Make an onnxruntime session of an ONNX file.

    Args:
        graph: the file.
        policy: how the CPU is used.
        library: that computes the graph's native operators; None for what the graph says they are.

    Raises:
        SessionError: onnxruntime cannot load the graph, or the library.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = policy.threads
    options.inter_op_num_threads = 1
    # A plan of the memory of every shape that comes would be 5 MiB, and gains nothing.
    options.enable_mem_pattern = False
    # The run over, threads sleep, or they would take a core from the caller.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(policy.spinning)))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if policy.pinned:
        # The caller's thread is the first; onnxruntime counts CPUs from 1.
        own = ";".join(str(cpu + 1) for cpu in policy.pinned[1:])
        options.add_session_config_entry("session.intra_op_thread_affinities", own)
    if policy.bf16:
        options.add_session_config_entry(BF16_ENTRY, "1")
    if policy.exact_products and library is None:
        # Have onnxruntime turn the weights to uint8, whose kernels sum exactly. The conversion
        # belongs to this level of optimisation; nothing else there touches the int8 graph.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.graph_optimization_level = EXTENDED
    else:
        # Above this level onnxruntime fuses kernels back in that are slower on a CPU.
        options.graph_optimization_level = BASIC
    if library is not None:
        try:
            options.register_custom_ops_library(str(library.path))
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise SessionError(
                f"{library.path}: onnxruntime {onnxruntime.__version__} could not load the native "
                f"operators: {error}; install again, or set {KERNEL}={NONE} to do "
                "without"
            ) from error
    return open_session(graph, options)
