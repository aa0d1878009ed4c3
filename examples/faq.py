"""Find the answer to a question among a thousand, in milliseconds, without a database.

The two thresholds are a start, not law: calibrate them on questions of your own.
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
