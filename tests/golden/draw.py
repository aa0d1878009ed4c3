"""Draw the texts of kinds.jsonl that nobody needs to write: python -m tests.golden.draw.

It replaces those kinds there, from a fixed seed, and leaves the others as they are.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from textwrap import wrap

from minilm_onnx import SentenceEncoder

FILE = Path(__file__).parent / "kinds.jsonl"
SEED, COUNT, WORDS = 23, 40, 200
# A text of 256 tokens, with [CLS] and [SEP].
TIMES = 254
PLACES = [
    "harbour",
    "orchard",
    "station",
    "bakery",
    "museum",
    "ferry",
    "library",
    "greenhouse",
    "clinic",
    "stable",
]
NAMES = [
    "anouk",
    "bastien",
    "cosima",
    "dragan",
    "elspeth",
    "ferhat",
    "gudrun",
    "hamish",
    "iolanthe",
    "jaromir",
]
EVENTS = [
    "login",
    "upload",
    "payment",
    "retry",
    "timeout",
    "refund",
    "delete",
    "export",
    "resize",
    "restart",
]


def digits(random: Random, place: int) -> str:
    """Write numbers: counts, prices, telephone numbers, dates, tables, one digit many times."""
    many = range(2 + place)
    return [
        str(random.randrange(10 ** (1 + place // 3))),
        f"{random.randrange(10**5)}.{random.randrange(100):02d}",
        f"+{random.randrange(1, 99)} {random.randrange(10**3):03d} {random.randrange(10**7):07d}",
        " ".join(f"20{random.randrange(10, 30)}-0{random.randrange(1, 10)}-17" for _ in many),
        " ".join(str(random.randrange(1000)) for _ in many),
        "\n".join("\t".join(str(random.randrange(100)) for _ in range(5)) for _ in many),
        " ".join([str(random.randrange(10))] * (4 * place)),
        f"{random.random():.15f}",
    ][place % 8]


def hexadecimal(random: Random, place: int) -> str:
    """Write lines as hex editors do: offset, 16 bytes."""
    lines = (random.randbytes(16).hex(" ") for _ in range(1 + place // 5))
    return "\n".join(f"{16 * line:08x}  {each}" for line, each in enumerate(lines))


def in_base64(random: Random, place: int) -> str:
    """Write 6 to 123 bytes, in lines as in certificates."""
    return "\n".join(wrap(base64.b64encode(random.randbytes(6 + 3 * place)).decode(), 64))


def url(random: Random, place: int) -> str:
    """Write an address, from a bare host to a query of several fields."""
    host = f"{random.choice(NAMES)}-{random.choice(PLACES)}.example"
    path = "".join(f"/{random.choice(PLACES + EVENTS)}" for _ in range(place % 4))
    page = f"/{random.randrange(10**6)}.html" if place % 3 == 1 else ""
    fields = (f"{random.choice(EVENTS)}={random.randrange(16**8):x}" for _ in range(place % 5))
    return f"https://{host}{path}{page}?{'&'.join(fields)}".rstrip("?")


def log(random: Random, place: int) -> str:
    """Write lines of a server's log, a JSON object each."""
    return "\n".join(
        json.dumps(
            {
                "time": f"2031-03-{random.randrange(10, 30)}T{random.randrange(10, 24)}:07:31Z",
                "level": random.choice(["info", "warning", "error"]),
                "event": random.choice(EVENTS),
                "user": random.choice(NAMES),
                "path": f"/{random.choice(PLACES)}/{random.randrange(10**4)}",
                "ms": random.randrange(5000),
                "ok": random.random() < 0.5,
            }
        )
        for _ in range(1 + place // 10)
    )


KINDS: dict[str, Callable[[Random, int], str]] = {
    "digits": digits,
    "hex dump": hexadecimal,
    "base64": in_base64,
    "URLs": url,
    "JSON logs": log,
}


def drawn() -> list[dict[str, str | int]]:
    """Give the rows of every kind."""
    rows: list[dict[str, str | int]] = []
    for kind, make in KINDS.items():
        random = Random(f"{SEED} {kind}")
        rows += [{"kind": kind, "text": make(random, place)} for place in range(COUNT)]
    vocabulary = SentenceEncoder().tokenizer.get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and word[1:])
    chosen = Random(SEED).sample(words, WORDS)
    return rows + [{"kind": f"word {TIMES} times", "text": w, "times": TIMES} for w in chosen]


def main() -> None:
    """Replace the drawn kinds in the file."""
    rows = drawn()
    names = {row["kind"] for row in rows}
    kept = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    rows = [row for row in kept if row["kind"] not in names] + rows
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    FILE.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
