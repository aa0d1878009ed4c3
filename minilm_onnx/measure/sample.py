"""Texts to measure speed with: made up, and as long as real ones are.

Their lengths follow 10,000 real texts (forum titles, questions, encyclopedia and news paragraphs,
abstracts, documentation), a tenth of which are longer than the model reads. What they say is
nonsense; speed depends on the lengths alone.
"""

import random
import re
from collections.abc import Callable, Sequence

# Tokens of the real texts at every twentieth of them, from the shortest to the longest.
QUANTILES = (3, 8, 10, 11, 13, 14, 15, 18, 22, 33, 42, 48, 55, 60, 68, 80, 99, 132, 263, 421, 1200)
# Of these sentences, the two special tokens left out.
TOKENS_A_WORD = 1.41
SEED = 20240

SENTENCES = (
    "The {adjective} {noun} near the {place} {verb} {number} {noun}s before {time}.",
    "how do I {act} a {adjective} {noun} in {tool}",
    "{name} said that the {noun} had {past} after {time}, which nobody at the {place} expected.",
    "{tool} {number}.{number} fails to {act} the {noun}: expected {number} rows, got {number}",
    "In {year}, {name} and {name} {past} the first {adjective} {noun}; it stood in the {place}.",
    "Returns the {noun} of each {noun}, or {number} if the {adjective} {noun} cannot be {past}.",
    "We counted {number} {noun}s per {noun} (95% CI {number}-{number}), all of them {adjective}.",
    "A {noun} is a {adjective} {noun} that people use to {act} a {noun}, mostly in the {place}.",
    "Does anyone know why my {noun} was {past} when I tried to {act} it with {tool}?",
    "{name}'s {adjective} {noun}, {past} in {year}, is kept in the {place} beside the {noun}s.",
)
WORDS = {
    "adjective": (
        "quiet brittle northern unpaid hollow ambitious seasonal magnetic borrowed overripe "
        "asynchronous diluted coastal forgotten symmetrical portable inflamed rusty provisional"
    ),
    "noun": (
        "lantern index kettle protein harbour orchestra thread invoice glacier window engine "
        "tortoise contract battery estuary parser vaccine chimney ledger antenna cathedral"
    ),
    "place": "valley laboratory museum orchard server-room station island workshop parliament",
    "verb": "carried ignored outlived resembled absorbed rejected delayed illuminated replaced",
    "act": "repair compile translate ferment schedule varnish export calibrate untangle",
    "past": "repaired compiled translated fermented scheduled varnished withdrawn calibrated",
    "name": "Anneke Tobias Mbeki Ingrid Rafael Yusuf Oyelaran Petrova Castellanos",
    "tool": "gridlock make-tiles Quillpad fernsql the.old.loom backstitch",
    "time": "midnight breakfast Easter sunset mid-November closing",
}


def sample_texts(count: int) -> list[str]:
    """Make texts, the same ones every time; those of a smaller count come first."""
    # Of the module's methods, random() alone promises the same numbers on every Python.
    draw = random.Random(SEED).random
    return [_text(_length(draw()), draw) for _ in range(count)]


def _length(share: float) -> float:
    """Give the tokens of the text that this share of the real ones do not exceed."""
    place = share * (len(QUANTILES) - 1)
    low = int(place)
    return QUANTILES[low] + (place - low) * (QUANTILES[low + 1] - QUANTILES[low])


def _text(tokens: float, draw: Callable[[], float]) -> str:
    """String sentences together, and cut the last where the length is reached."""

    def pick(choices: Sequence[str]) -> str:
        return choices[int(draw() * len(choices))]

    def fill(slot: re.Match[str]) -> str:
        kind = slot.group(1)
        if kind == "number":
            return str(int(10 ** (4 * draw())))
        if kind == "year":
            return str(1700 + int(320 * draw()))
        return pick(WORDS[kind].split())

    wanted = max(1, round((tokens - 2) / TOKENS_A_WORD))
    words: list[str] = []
    while len(words) < wanted:
        words += re.sub(r"{(\w+)}", fill, pick(SENTENCES)).split()
    return " ".join(words[:wanted])
