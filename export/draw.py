"""Draw texts that nobody needs to write, to calibrate on and to judge by: python -m export.draw.

Runs of a word or a sign, numbers, bytes and addresses, from fixed seeds. Prose teaches rounding
little about them: one word a hundred times has the same errors a hundred times. drawn.txt is what
calibration reads; in hard.jsonl, which judges what comes of it, these kinds are replaced, and the
others are left as they are.
"""

import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from minilm_onnx.folder.finding import BUNDLED
from minilm_onnx.folder.layout import TOKENIZER
from minilm_onnx.making.corpus import TEXTS

# Of which no text is among those in tests/golden.
SEED, HARD_SEED = 36, 37
# Of how many that are drawn one is taken to judge by.
SHARE = 4
# How many times a word is said, and by how many words each.
RUNS = (
    (8, (2, 3, 4, 5, 6, 8, 10, 13, 17)),
    (5, (22, 28, 36, 47, 60)),
    (4, (80, 110, 150)),
    (5, (254,)),
)
SIGNS = "!?.,-_=+*/#%&~@$;:()[]<>|'\""
SIGN_RUNS = (1, 2, 3, 4, 6, 9, 14, 20, 30, 45, 70, 110)


def signs(random: Random, place: int) -> str:
    """Write a sign many times, several signs, a few of one apart, or several apart."""
    few = random.randrange(2, 20)
    return [
        random.choice(SIGNS) * random.choice(SIGN_RUNS),
        "".join(random.choices(SIGNS, k=random.choice((2, 3, 4, 6, 9, 15, 30)))),
        " ".join([random.choice(SIGNS) * random.randrange(1, 5)] * few),
        " ".join(random.choices(SIGNS, k=few)),
    ][place % 4]


def numbers(random: Random, place: int) -> str:
    """Write numbers: counts, prices, tables, telephone numbers, times, dates, digits in a run."""
    few = range(random.randrange(3, 30))
    digit = str(random.randrange(10))
    return [
        str(random.randrange(10 ** random.randrange(1, 10))),
        f"{random.uniform(-999, 9999):.{random.randrange(1, 7)}f}",
        " ".join(str(random.randrange(10 ** random.randrange(1, 5))) for _ in few),
        f"0{random.randrange(10)} {random.randrange(10**4):04d} {random.randrange(10**5):05d}",
        f"{random.randrange(24):02d}:{random.randrange(60):02d}:{random.randrange(60):02d}",
        " ".join([digit] * random.randrange(2, 90)),
        digit * random.randrange(2, 40),
        f"{random.randrange(1, 29)}/{random.randrange(1, 13)}/{random.randrange(1950, 2035)}",
        ", ".join(f"{random.random():.3f}" for _ in few),
    ][place % 9]


def codes(random: Random, place: int) -> str:
    """Write bytes: hexadecimal, base64, a line of a memory dump, an identifier."""
    data = random.randbytes(8 + 4 * (place % 15))
    return [
        data.hex(),
        data.hex(" "),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        f"0x{data[:6].hex()} {data.hex(' ').upper()}",
        str(uuid.UUID(bytes=(2 * data)[:16])),
    ][place % 6]


def addresses(random: Random, words: list[str], place: int) -> str:
    """Write an address of a page, a service, a file or a person."""
    one, two, three, four, five, six = random.choices(words, k=6)
    number = random.randrange(10**6)
    return [
        f"https://www.{one}{two}.example/{three}/{four}-{five}-{six}",
        f"http://{one}.example:{1000 + number % 9000}/{two}.php?id={number}&{three}={four}",
        f"https://{one}.example/{two}/{random.randbytes(8).hex()}?{three}={number:x}&{four}={five}",
        f"ftp://files.{one}.example/{two}/{three}_{number}.tar.gz",
        f"{one}.{two}@{three}.example",
    ][place % 5]


def records(random: Random, words: list[str], place: int) -> str:
    """Write a record of a table or a log: JSON, key=value, comma-separated."""
    one, two, three, four = random.choices(words, k=4)
    number, share = random.randrange(10**4), random.random()
    day = f"2027-{1 + number % 12:02d}-{1 + number % 28:02d}"
    return [
        f'{{"{one}": {number}, "{two}": "{three}", "{four}": {share:.2f}, "ok": true}}',
        f"{day} {one} {two}={number} {three}={share:.3f}",
        f"{number},{one},{two},{share:.4f},{three},,{four}",
    ][place % 3]


def drawn(seed: int) -> dict[str, list[str]]:
    """Give texts by kind."""
    vocabulary = Tokenizer.from_file(str(BUNDLED / TOKENIZER)).get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and word[1:])
    random = Random(f"{seed} words")
    runs = [
        " ".join([word] * times)
        for count, every in RUNS
        for times in every
        for word in random.sample(words, count)
    ]
    loose = [" ".join(random.sample(words, random.randrange(1, 13))) for _ in range(60)]
    kinds: dict[str, tuple[int, Callable[[Random, int], str]]] = {
        "signs": (160, signs),
        "numbers": (90, numbers),
        "bytes": (45, codes),
        "addresses": (45, lambda random, place: addresses(random, words, place)),
        "records": (30, lambda random, place: records(random, words, place)),
    }
    found = {"runs": runs, "loose words": loose}
    for number, (kind, (count, make)) in enumerate(kinds.items()):
        random = Random(f"{seed} {number}")
        found[kind] = [make(random, place) for place in range(count)]
    return found


def calibration_texts() -> list[str]:
    """Give those to calibrate on, none of them twice."""
    return list(dict.fromkeys(text for every in drawn(SEED).values() for text in every))


def hard_rows() -> list[dict[str, str]]:
    """Give those to judge by, with their kinds; none twice, and none of the others."""
    kinds = {text: kind for kind, every in drawn(HARD_SEED).items() for text in every[::SHARE]}
    others = {*calibration_texts()}
    return [{"kind": kind, "text": text} for text, kind in kinds.items() if text not in others]


def main(folder: Path = TEXTS) -> None:
    """Write both files."""
    lines = (f"{text}\n" for text in calibration_texts())
    (folder / "drawn.txt").write_text("".join(lines), "utf-8")
    file = folder / "hard.jsonl"
    rows = hard_rows()
    names = {row["kind"] for row in rows}
    kept = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    rows = [row for row in kept if row["kind"] not in names] + rows
    file.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
