"""A FastAPI application that answers questions and also serves embeddings, in one process.

    pip install '.[server]' fastapi
    uvicorn mount_in_fastapi:app --app-dir examples

GET /ask?question=... returns the best answer from a list, or null if none is close enough. OpenAI
clients get embeddings with base_url="http://127.0.0.1:8000/embeddings/v1" and the model name
"help-desk". Both share one loaded model.
"""

from fastapi import FastAPI

from minilm_onnx import SentenceEncoder, semantic_search
from minilm_onnx.server import Settings, create_app

ANSWERS = (
    "If you forgot your password, reset it on the login page.",
    "Parcels take two to four days; track yours with the number in our email.",
    "Items that you return within thirty days are paid back to the card you used.",
)
MIN_SCORE = 0.25  # set it with questions of your own

encoder = SentenceEncoder()
vectors = encoder.encode(ANSWERS)

app = FastAPI()
app.mount("/embeddings", create_app(encoder, Settings(names=("help-desk",))))


@app.get("/ask")
async def ask(question: str) -> dict[str, object]:
    """Return the closest answer, or None if its score is below MIN_SCORE."""
    vector = await encoder.aencode(question)
    ((best,),) = semantic_search(vector[None], vectors, top_k=1)
    near = best["score"] >= MIN_SCORE
    return {"answer": ANSWERS[best["corpus_id"]] if near else None, "score": best["score"]}
