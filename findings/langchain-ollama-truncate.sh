#!/usr/bin/env bash
# @langchain/ollama 1.3.0 (JavaScript) and langchain-ollama 1.1.0 (Python): OllamaEmbeddings with no options asks
# Ollama's /api/embed for different things. The JavaScript one sends "truncate": false, the Python
# one nothing, so the server's default, true, holds. One would expect the same of the same class of
# one framework.
#
# It matters to whoever moves a pipeline from one language to the other: a document that is longer
# than the model reads is cut in Python and an error in JavaScript, which loses its whole batch.
# docs/server.md tells users of the JavaScript package to set truncate: true.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet langchain-ollama==1.1.0
npm install --silent --no-fund --no-audit @langchain/ollama@1.3.0 @langchain/core@1.4.0 > npm.log 2>&1

# A server that writes down what it is asked, and answers with one vector a text.
cat > server.py << 'PY'
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Asked(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with open("asked.jsonl", "a") as file:
            file.write(json.dumps(body) + "\n")
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        said = json.dumps({"model": body["model"], "embeddings": [[1.0, 0.0] for _ in texts]})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Asked)
print(server.server_port, flush=True)
server.serve_forever()
PY
mkfifo port
venv/bin/python server.py > port &
server=$!
trap 'kill "$server"; rm -rf "$folder"' EXIT
read -r number < port
base=http://127.0.0.1:$number

venv/bin/python - "$base" << 'PY'
import sys

from langchain_ollama import OllamaEmbeddings

OllamaEmbeddings(model="all-minilm", base_url=sys.argv[1]).embed_documents(["a cat", "a dog"])
PY
cat > ask.mjs << 'JS'
import { OllamaEmbeddings } from "@langchain/ollama";
const embeddings = new OllamaEmbeddings({ model: "all-minilm", baseUrl: process.argv[2] });
await embeddings.embedDocuments(["a cat", "a dog"]);
JS
node ask.mjs "$base"

venv/bin/python - << 'PY'
import json

python, javascript = (json.loads(line) for line in open("asked.jsonl"))
print("Python asks for truncate:", python.get("truncate", "(nothing)"))
print("JavaScript asks for truncate:", javascript.get("truncate", "(nothing)"))
assert python.get("truncate") is None
assert javascript["truncate"] is False
PY
