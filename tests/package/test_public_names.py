"""The public names of the wheel, in full: a change of the API is a change of this page.

What is not named here may change at any time. An inner module that moves keeps these paths.
"""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

import minilm_onnx
from minilm_onnx import SentenceEncoder
from tests.support.documents import ROOT

NAMES = {
    "minilm_onnx": [
        "ArtifactError",
        "DatabaseError",
        "InputError",
        "MiniLMError",
        "SentenceEncoder",
        "SessionError",
        "__version__",
        "community_detection",
        "dequantize_embeddings",
        "near_duplicates",
        "paraphrase_mining",
        "paraphrase_mining_embeddings",
        "quantize_embeddings",
        "ranges_of",
        "semantic_search",
        "semantic_search_quantized",
        "similarity",
        "similarity_pairwise",
        "truncate_embeddings",
    ],
    "minilm_onnx.index": [
        "Change",
        "Hybrid",
        "Outcome",
        "Result",
        "StoredPassage",
        "TextIndex",
        "index_paths",
    ],
    "minilm_onnx.server": [
        "Settings",
        "create_app",
    ],
    "minilm_onnx.tables": [
        "embed_column",
    ],
    "minilm_onnx.text": [
        "TextReport",
    ],
}
# In files that import a framework, which need not be installed.
INTEGRATIONS = {
    "minilm_onnx.integrations.backend": [
        "Backend",
    ],
    "minilm_onnx.integrations.bertopic": [
        "MiniLMBackend",
    ],
    "minilm_onnx.integrations.chroma": [
        "MiniLMEmbeddingFunction",
    ],
    "minilm_onnx.integrations.elasticsearch": [
        "copy_passages",
        "documents",
        "mapping",
        "search_passages",
    ],
    "minilm_onnx.integrations.haystack": [
        "MiniLMDocumentEmbedder",
        "MiniLMTextEmbedder",
    ],
    "minilm_onnx.integrations.keybert": [
        "MiniLMBackend",
    ],
    "minilm_onnx.integrations.lancedb": [
        "MiniLMFunction",
    ],
    "minilm_onnx.integrations.langchain": [
        "MiniLMEmbeddings",
    ],
    "minilm_onnx.integrations.llamaindex": [
        "MiniLMEmbedding",
    ],
    "minilm_onnx.integrations.mteb": [
        "MTEBEncoder",
    ],
    "minilm_onnx.integrations.pgvector": [
        "copy_passages",
        "search_passages",
    ],
    "minilm_onnx.integrations.qdrant": [
        "add",
        "search",
    ],
    "minilm_onnx.integrations.ray": [
        "Embed",
        "embed_files",
    ],
    "minilm_onnx.integrations.sentence_transformers": [
        "sentence_transformer",
    ],
    "minilm_onnx.integrations.sklearn": [
        "SentenceVectorizer",
    ],
    "minilm_onnx.integrations.txtai": [
        "MiniLMVectors",
    ],
    "minilm_onnx.integrations.workers": [
        "check_worker",
        "made_by",
    ],
}
ENCODER = [
    "aencode",
    "aencode_document",
    "aencode_query",
    "check_fingerprint",
    "close",
    "device",
    "dimension",
    "embed_texts",
    "embed_tokens",
    "encode",
    "encode_document",
    "encode_query",
    "encode_stream",
    "fingerprint",
    "get_embedding_dimension",
    "get_sentence_embedding_dimension",
    "hidden_states",
    "inspect",
    "max_seq_length",
    "policy",
    "prompts",
    "runtime",
    "similarity",
    "similarity_fn_name",
    "similarity_pairwise",
    "tokenize",
    "tokenize_texts",
    "tokenizer",
    "truncate_dim",
    "unknown_characters",
    "unread",
    "with_default_prompt",
]


@pytest.mark.parametrize("module", NAMES)
def test_a_module_exports_these_names(module: str) -> None:
    if module == "minilm_onnx.server":
        pytest.importorskip("starlette", reason="minilm-onnx[server] is not installed")
    found = import_module(module)
    assert sorted(found.__all__) == NAMES[module]
    for name in NAMES[module]:
        assert hasattr(found, name)


def test_the_encoder_has_these_methods_and_properties() -> None:
    assert [name for name in dir(SentenceEncoder) if not name.startswith("_")] == ENCODER


@pytest.mark.parametrize("module", INTEGRATIONS)
def test_an_integration_has_these_names(module: str) -> None:
    stem = Path(minilm_onnx.__file__).parent.joinpath(*module.split(".")[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    bound: set[str] = set()
    body = ast.parse(path.read_text("utf-8")).body
    guarded = [node for block in body if isinstance(block, ast.With) for node in block.body]
    for node in body + guarded:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            bound.update(alias.asname or alias.name for alias in node.names)
    assert set(INTEGRATIONS[module]) <= bound


def test_the_reference_documents_all_integrations() -> None:
    page = ROOT / "docs" / "reference.md"
    if not page.exists():
        pytest.skip("not a checkout")
    documented = re.findall(
        r"^## `(minilm_onnx\.integrations\..*)`$", page.read_text("utf-8"), re.MULTILINE
    )
    listed = [f"{module}.{name}" for module, names in INTEGRATIONS.items() for name in names]
    assert sorted(documented) == sorted(listed)
