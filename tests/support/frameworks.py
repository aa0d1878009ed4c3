"""What BERTopic, KeyBERT and MTEB must find, whatever stands for the model."""

from typing import Any

import pytest

PETS = ["my cat sleeps all day", "the dog barks at night", "a kitten and a puppy play"] * 4
MONEY = ["the bank raised its rates", "he paid the loan back", "my account is empty"] * 4
BAKERY = "The bakery sells bread and rolls. Bread is baked at four in the morning by its bakers."
PAIRS = [
    ("A man plays a guitar.", "Someone is making music on a guitar.", 4.5),
    ("The train was late.", "The train did not arrive on time.", 4.8),
    ("She cooks soup.", "The soup is being made by her.", 4.4),
    ("A dog runs on the beach.", "An animal is outdoors.", 2.6),
    ("He reads a letter.", "The city has two rivers.", 0.1),
    ("Snow fell all night.", "The invoice is overdue.", 0.0),
]


def find_keywords(model: Any) -> None:
    """KeyBERT's."""
    keybert = pytest.importorskip("keybert", reason="keybert is not installed")
    found = keybert.KeyBERT(model=model).extract_keywords(BAKERY, top_n=3)
    assert {word for word, _ in found} & {"bakery", "bread", "bakers"}


def find_topics(model: Any) -> None:
    """BERTopic's."""
    bertopic = pytest.importorskip("bertopic", reason="bertopic is not installed")
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    topic_model = bertopic.BERTopic(
        embedding_model=model,
        umap_model=PCA(5, random_state=0),
        hdbscan_model=KMeans(2, n_init=10, random_state=0),
    )
    topics, _ = topic_model.fit_transform(PETS + MONEY)
    assert len(set(topics[:12])) == len(set(topics[12:])) == 1
    assert topics[0] != topics[12]


def evaluate(model: Any) -> Any:
    """Run a task class of MTEB's own package on pairs made here; give its result."""
    mteb = pytest.importorskip("mteb", reason="mteb is not installed")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    task = mteb.get_task("STSBenchmark")
    columns = zip(*PAIRS, strict=True)
    rows = dict(zip(("sentence1", "sentence2", "score"), map(list, columns), strict=True))
    task.dataset = datasets.DatasetDict({"test": datasets.Dataset.from_dict(rows)})
    task.data_loaded = True
    return mteb.evaluate(model, task, cache=None, overwrite_strategy="always")


def find_scores(model: Any, encoder: Any) -> None:
    """MTEB's, which must be those of the encoder's vectors."""
    from scipy.stats import spearmanr

    score = evaluate(model).task_results[0].scores["test"][0]["cosine_spearman"]
    first, second, wanted = zip(*PAIRS, strict=True)
    cosines = (encoder.encode(first) * encoder.encode(second)).sum(axis=1)
    assert score == pytest.approx(float(spearmanr(cosines, wanted).statistic), abs=1e-6)
