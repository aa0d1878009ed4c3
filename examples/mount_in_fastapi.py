"""A help desk of your own, with the embedding protocols beside it, in one process.

    pip install '.[server]' fastapi
    uvicorn mount_in_fastapi:app --app-dir examples

GET /ask?question=... answers from a list; POST /embeddings/v1/embeddings is OpenAI's protocol, for
an SDK whose base_url is http://127.0.0.1:8000/embeddings/v1. Both use the same model.
"""

from fastapi import FastAPI

from minilm_onnx import SentenceEncoder, semantic_search
from minilm_onnx.server import Settings, create_app

ANSWERS = (
    "A forgotten password is set anew from the page where you log in.",
    "Parcels travel for two to four days; the number in our mail shows where yours is.",
    "What you send back within thirty days is paid back to the card it was bought with.",
)
LEAST = 0.25

encoder = SentenceEncoder()
vectors = encoder.encode(ANSWERS)

app = FastAPI()
app.mount("/embeddings", create_app(encoder, Settings(names=("help-desk",))))


@app.get("/ask")
async def ask(question: str) -> dict[str, object]:
    """Give the answer that is nearest in meaning, if one is near."""
    vector = await encoder.aencode(question)
    ((best,),) = semantic_search(vector[None], vectors, top_k=1)
    near = best["score"] >= LEAST
    return {"answer": ANSWERS[best["corpus_id"]] if near else None, "score": best["score"]}
