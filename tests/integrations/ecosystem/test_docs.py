"""What the pages show of frameworks runs, and finds the bakery, or what it should."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from minilm_onnx import SentenceEncoder
from tests.conftest import documented
from tests.package.test_docs import RAY, WALK
from tests.support.documents import blocks, furnish, pages, run_python, shell

BLOCKS = {
    "langchain": ("langchain_core", "The bakery opens at six."),
    "llamaindex": ("llama_index.core", "The bakery opens at six."),
    "haystack": ("haystack", "The bakery opens at six."),
    "chroma": ("chromadb", "The bakery opens at six."),
    "lancedb": ("lancedb", "The bakery opens at six."),
    "qdrant": ("qdrant_client", "The bakery opens at six."),
    "sklearn": ("sklearn", "[0 1]"),
    "txtai": ("txtai", "The bakery opens at six."),
    "keybert": ("keybert", "bread"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_last_block_of_the_walk_in_chinese_prints_what_it_shows() -> None:
    pytest.importorskip("qdrant_client", reason="qdrant_client is not installed")
    (block,) = (one for one in blocks("docs/walk.zh.md") if one.mark == WALK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the framework's own
        run_python(block, {"__name__": "__main__"})


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("name", BLOCKS)
def test_the_block_says_what_it_should(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    package, expected = BLOCKS[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    code = documented("integrations.md", name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        exec(compile(code, f"docs/integrations.md: {name}", "exec"), {"__name__": "__main__"})
    assert expected in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_commands_that_need_ray(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    found = [block for page in pages() for block in blocks(page) if RAY in block.code]
    assert {block.page for block in found} >= {"docs/cluster.md", "docs/commands.md"}
    for number, block in enumerate(found):
        folder = tmp_path / str(number)
        folder.mkdir()
        with shell(folder) as reader:
            reader.run(block)
        assert list((folder / "vectors").glob("part-*.parquet"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_pipeline_with_ray(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    ray.init(num_cpus=2, log_to_driver=False)
    try:
        exec(documented("cluster.md", "ray"), {})  # the project's own page
    finally:
        ray.shutdown()
    table = pq.read_table(tmp_path / "vectors")
    assert table.column_names == ["body", "embedding"]
    expected = encoder.encode(table["body"].to_pylist())
    assert np.array_equal(np.stack(table["embedding"].to_numpy()), expected)
