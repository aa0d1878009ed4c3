"""docs/terminal.svg, a recording of a terminal: python -m tests.support.terminal makes it.

The commands run for real, in a pseudo-terminal and a folder of their own; each line of the picture
appears when it did, but for those who want no motion, or print it.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from minilm_onnx.cli.palette import DARK, INK, KEY, PAPER, RULE

PICTURE = Path(__file__).parents[2] / "docs" / "terminal.svg"
COLUMNS = 80
# Between a prompt and the command that is typed, and between an answer and the next prompt.
TYPING, READING = 0.4, 0.6
NOTES = {
    "refunds.md": "# Refunds\n\n"
    "Send the parcel back within 30 days, in the box it came in. Your money is on your account "
    "ten days after it arrives. Gift cards are not refunded.\n",
    "opening.md": "# Opening hours\n\nWe are open from eight to six, on Saturdays until noon.\n",
    "warranty.md": "# Warranty\n\nEvery bicycle is repaired for free in its first two years.\n",
}
COMMANDS = (
    ("similarity", "reset my password", "I forgot my login", "soup"),
    ("index", "notes", "--db", "notes.db"),
    ("search", "--db", "notes.db", "--top", "2", "how do I get my money back?"),
)


@dataclass(frozen=True)
class Line:
    """A line on the terminal, with its colours, and the seconds after which it appears."""

    text: str
    after: float


def record(command: tuple[str, ...], folder: Path) -> list[Line]:
    """Run a command in a terminal, and note when each of its lines came.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    environment.pop("NO_COLOR", None)
    run = [sys.executable, "-m", "minilm_onnx", *command]
    start, lines, rest = time.monotonic(), [], b""
    with subprocess.Popen(run, cwd=folder, env=environment, stdout=theirs, stderr=theirs) as one:
        os.close(theirs)
        while part := _read(ours):
            *whole, rest = (rest + part).split(b"\n")
            after = time.monotonic() - start
            for line in whole:
                # A progress bar writes over itself, and clears the line in the end.
                shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode()
                if shown.strip():
                    lines.append(Line(shown, after))
        os.close(ours)
    if one.returncode:
        raise subprocess.CalledProcessError(one.returncode, run, "\n".join(x.text for x in lines))
    return lines


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO, as Linux says that the other end is closed
        return b""


def session(folder: Path) -> list[Line]:
    """Run all commands, one after the other."""
    notes = folder / "notes"
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text, "utf-8")
    lines: list[Line] = []
    now = 0.0
    for command in COMMANDS:
        words = " ".join(f'"{word}"' if " " in word else word for word in command)
        lines += [Line("", now), Line(f"\x1b[34m$\x1b[0m \x1b[1mminilm-onnx {words}\x1b[0m", now)]
        now += TYPING
        answer = record(command, folder)
        lines += [Line(line.text, now + line.after) for line in answer]
        now = lines[-1].after + READING
    return lines[1:]


def draw(lines: list[Line]) -> str:
    """Draw lines as SVG, which loads nothing."""
    from rich.console import Console
    from rich.terminal_theme import TerminalTheme
    from rich.text import Text

    def rgb(colour: str) -> tuple[int, int, int]:
        red, green, blue = bytes.fromhex(colour[1:])
        return red, green, blue

    ink, key = rgb(DARK[INK]), rgb(DARK[KEY])
    # Black, red, green, yellow, blue, magenta, cyan, white.
    shades = [rgb(DARK[RULE]), *(rgb(c) for c in ("#ff8f8f", "#8fd694", "#ffd479")), key]
    shades += [rgb("#d9a6ff"), key, ink]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        # A long command goes on in the next line; both appear together.
        appear: list[float] = []
        for line in lines:
            wrapped = Text.from_ansi(line.text).wrap(console, COLUMNS)
            appear += [line.after] * max(1, len(wrapped))
            for part in wrapped or [Text()]:
                console.print(part)
    theme = TerminalTheme(rgb(DARK[PAPER]), ink, shades)
    svg = console.export_svg(title="minilm-onnx", theme=theme, unique_id="terminal")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("</style>", f"{motion(appear)}</style>", 1)


def motion(appear: list[float]) -> str:
    """Give the style that shows each line after so many seconds."""
    each = "".join(
        f'[clip-path*="-line-{place})"]{{animation-delay:{after:.1f}s}}'
        for place, after in enumerate(appear)
    )
    return (
        "@media screen and (prefers-reduced-motion:no-preference){"
        "@keyframes appear{from{visibility:hidden}to{visibility:visible}}"
        f'[clip-path*="-line-"]{{animation:appear 1ms both}}{each}}}'
    )


def main() -> None:
    """Record, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        svg = draw(session(Path(folder)))
    part = PICTURE.with_suffix(".svg.part")
    part.write_text(svg, "utf-8")
    part.replace(PICTURE)


if __name__ == "__main__":
    main()
