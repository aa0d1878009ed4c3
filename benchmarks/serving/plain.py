"""What one writes in ten minutes: FastAPI around sentence-transformers.

Run by uvicorn, as `plain:app`, in an environment that has both.
"""

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(os.environ["CHECKPOINT"], device="cpu")
app = FastAPI()


class Question(BaseModel):
    """A request in OpenAI's form."""

    model: str
    input: list[str]


@app.post("/v1/embeddings")
def embeddings(question: Question) -> dict[str, Any]:
    """Answer on one of FastAPI's threads."""
    vectors = model.encode(question.input, show_progress_bar=False)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": vector.tolist()}
            for place, vector in enumerate(vectors)
        ],
        "model": question.model,
    }
