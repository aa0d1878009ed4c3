import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    return found.stdout.splitlines()


def test_the_faq_example_answers_what_it_can() -> None:
    lines = run("faq.py")
    assert len(lines) == 12
    assert "return a bicycle" in lines[1]
    assert "repair a laptop" in lines[5]
    assert "(no entry fits," in lines[8]


def test_the_unreadable_example_says_why() -> None:
    lines = run("unreadable.py")
    assert sum("of the tokens are unknown" in line for line in lines) == 5
    assert any("mostly unknown to the model" in line for line in lines)
