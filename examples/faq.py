"""Find the best match for a question among a thousand FAQ entries, in milliseconds, in memory.

    pip install .
    python examples/faq.py

A score of SURE or more counts as an answer, a score of MAYBE or more as a suggestion. Both values
are only a starting point: set them with questions of your own, some of which have no answer.
"""

import time

from minilm_onnx import SentenceEncoder, semantic_search

SURE, MAYBE = 0.75, 0.6
ACTIONS = (
    "return",
    "repair",
    "clean",
    "install",
    "insure",
    "rent",
    "sell",
    "lend",
    "paint",
    "ship",
)
THINGS = [
    "bicycle",
    "kettle",
    "guitar",
    "tent",
    "laptop",
    "sofa",
    "camera",
    "heater",
    "pram",
    "mirror",
]
WAYS = (
    "How do I {} a {}?",
    "What does it cost to {} a {}?",
    "Who may {} a {} for me?",
    "How long does it take to {} a {}?",
    "Where can I {} a {} on a Sunday?",
    "Which tools do I need to {} a {}?",
    "Can I {} a {} without a receipt?",
    "When is it too late to {} a {}?",
    "Is it allowed to {} a {} abroad?",
    "Why should I {} a {} myself?",
)
FAQ = [way.format(action, thing) for way in WAYS for action in ACTIONS for thing in THINGS]
ASKED = (
    "I want to give back my bike, what do I do?",
    "What is the price of repairing a laptop?",
    "Do you serve breakfast?",
)

encoder = SentenceEncoder()
entries = encoder.encode(FAQ)
for question in ASKED:
    start = time.perf_counter()
    (hits,) = semantic_search(encoder.encode(question), entries, top_k=3)
    ms = (time.perf_counter() - start) * 1e3
    best = hits[0]["score"]
    verdict = "answer" if best >= SURE else "did you mean" if best >= MAYBE else "no entry fits"
    print(f"{question}  ({verdict}, {ms:.1f} ms)")
    for hit in hits:
        print(f"  {hit['score']:.3f}  {FAQ[hit['corpus_id']]}")
