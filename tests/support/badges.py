"""docs/badges.svg, from pyproject.toml and the wheels' targets: python -m tests.support.badges."""

import tomllib
from pathlib import Path

from kernels.targets import TARGETS
from minilm_onnx.cli.palette import KEY

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "badges.svg"
# Of a letter, and around a word, in pixels.
WIDE, ROOM, HIGH = 6.6, 6, 20
# Seen on a light page and on a dark one, with white letters.
GREY = "#555f6b"
SYSTEMS = {"manylinux": "Linux", "macosx": "macOS", "win": "Windows"}


def facts() -> dict[str, str]:
    """Give each badge's two halves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tags = [target.tag for target in TARGETS]
    systems = [name for start, name in SYSTEMS.items() if any(t.startswith(start) for t in tags)]
    cpus = dict.fromkeys(target.machine.replace("_", "-") for target in TARGETS)
    return {
        "licence": project["license"],
        "python": project["requires-python"].removeprefix(">=") + " or newer",
        "platforms": f"{', '.join(systems)}; {', '.join(cpus)}",
    }


def render() -> str:
    """Draw the badges in a row."""
    left, drawn = 0.0, []
    for words in facts().items():
        for text, colour in zip(words, (GREY, KEY), strict=True):
            letters = WIDE * len(text)
            width = letters + 2 * ROOM
            drawn.append(
                f'<rect x="{left:.1f}" width="{width:.1f}" height="{HIGH}" fill="{colour}"/>'
                f'<text x="{left + ROOM:.1f}" y="14" textLength="{letters:.1f}">{text}</text>'
            )
            left += width
        left += ROOM
    title = "; ".join(": ".join(words) for words in facts().items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left - ROOM:.1f}" height="{HIGH}" '
        f'role="img"><title>{title}</title>\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\n'
        + "\n".join(drawn)
        + "\n</g></svg>\n"
    )


if __name__ == "__main__":
    DOCUMENT.write_text(render(), "utf-8")
