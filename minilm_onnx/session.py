"""One graph on this CPU."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from minilm_onnx.arrays import FloatArray, IdArray
from minilm_onnx.errors import ArtifactError, InputError, SessionError

# What a graph may ask for beside the ids, and what a batch without padding answers.
KNOWN_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
# What optimum and sentence-transformers call the (B, T, H) output.
HIDDEN_OUTPUTS = ("last_hidden_state", "token_embeddings")


# More than any machine has; beyond it onnxruntime's own limits fail in less clear ways.
MAX_THREADS = 4096


def check_positive(name: str, value: int, most: int | None = None) -> None:
    """Raise InputError unless value is an int of at least 1, and at most `most`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InputError(f"{name}: expected a positive int or None, got {value!r}; leave it out")
    if most is not None and value > most:
        raise InputError(f"{name}: expected at most {most}, got {value}; leave it out")


def available_cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Session:
    """An onnxruntime session that runs batches of texts of equal token length.

    Attributes:
        threads: threads one run uses.
        inputs: names of the graph's inputs.
        dimension: width H of the hidden state.
    """

    def __init__(self, graph: Path | bytes, *, threads: int | None = None) -> None:
        """Load a graph.

        Args:
            graph: an ONNX file, or its bytes.
            threads: threads a run; None for all CPUs this process may use.

        Raises:
            InputError: threads is not a positive integer of a sane size.
            SessionError: onnxruntime cannot load the graph.
            ArtifactError: the graph asks for an input that is unknown here.
        """
        if threads is not None:
            check_positive("threads", threads, MAX_THREADS)
        self.threads = available_cpus() if threads is None else int(threads)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # A waiting thread that spins takes a core from the caller and drains a battery.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Above this level onnxruntime fuses kernels back in that are slower on a CPU.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4  # its errors come back as exceptions
        try:
            self._session = onnxruntime.InferenceSession(
                graph if isinstance(graph, bytes) else str(graph),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # onnxruntime's exceptions share no public base
            raise SessionError(
                f"onnxruntime {onnxruntime.__version__} could not load the graph: {error}; "
                "export the model folder again with this version"
            ) from error
        self.inputs: Sequence[str] = [node.name for node in self._session.get_inputs()]
        unknown = sorted(set(self.inputs) - KNOWN_INPUTS)
        if unknown or "input_ids" not in self.inputs:
            raise ArtifactError(
                f"graph inputs: expected input_ids and at most attention_mask and "
                f"token_type_ids, got {', '.join(self.inputs)}; export the model folder again"
            )
        outputs = [node.name for node in self._session.get_outputs()]
        self._output = next((name for name in HIDDEN_OUTPUTS if name in outputs), None)
        if self._output is None:
            raise ArtifactError(
                f"graph outputs: expected {' or '.join(HIDDEN_OUTPUTS)}, "
                f"got {', '.join(outputs)}; export with task feature-extraction"
            )
        width = self._session.get_outputs()[outputs.index(self._output)].shape[-1]
        if not isinstance(width, int):
            raise ArtifactError(
                f"graph output {self._output}: expected a fixed last axis, got {width!r}; "
                "export with task feature-extraction"
            )
        self.dimension: int = width

    def run(self, ids: IdArray) -> FloatArray:
        """Compute the last hidden state of texts of equal length.

        Args:
            ids: token ids, (B, T) int64.

        Returns:
            (B, T, H) float32.

        Raises:
            SessionError: onnxruntime failed.
        """
        feed = {"input_ids": ids}
        if "attention_mask" in self.inputs:
            feed["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self.inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        try:
            hidden: FloatArray = self._session.run([self._output], feed)[0]
        except Exception as error:  # as above
            raise SessionError(
                f"onnxruntime {onnxruntime.__version__} failed on ids of shape {ids.shape}: "
                f"{error}; report it with this message if the ids are those of tokenize_texts"
            ) from error
        return hidden
