"""Every block of docs/integrations.md runs and finds the bakery, or says what it should."""

import warnings

import pytest

from tests.conftest import documented

BLOCKS = {
    "langchain": ("langchain_core", "The bakery opens at six."),
    "llamaindex": ("llama_index.core", "The bakery opens at six."),
    "haystack": ("haystack", "The bakery opens at six."),
    "chroma": ("chromadb", "The bakery opens at six."),
    "lancedb": ("lancedb", "The bakery opens at six."),
    "qdrant": ("qdrant_client", "The bakery opens at six."),
    "sklearn": ("sklearn", "[0 1]"),
    "keybert": ("keybert", "bread"),
}


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
