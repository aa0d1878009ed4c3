"""The description of the API as a page for a browser: /docs."""

import json
from html import escape

from minilm_onnx.server.schemas import Schema

STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h2 { font-size: 1rem; }
summary { cursor: pointer; }
code, pre { font: 0.9rem/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.5rem; border: 1px solid; }
th, td { text-align: left; vertical-align: top; padding: 0.1rem 1rem 0.1rem 0; }
"""


def reference_page(description: Schema) -> bytes:
    """Give the page of an OpenAPI description; it runs no script and loads nothing.

    Args:
        description: from `describe_api`.
    """
    about = description["info"]
    operations = [
        _operation(path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post")
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(about["title"])}: API</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(about["title"])} {escape(about["version"])}</h1>
<p>{escape(about["description"])}</p>
<p>The same for programs: <a href="openapi.json">openapi.json</a>. A page that compares texts:
<a href="ui">ui</a>.</p>
{"".join(operations)}
</body>
</html>
""".encode()


def _operation(path: str, method: str, operation: Schema) -> str:
    """Give the part about one path."""
    asked = operation.get("requestBody")
    body = f"<h2>Body</h2><pre>{_schema(asked)}</pre>" if asked else ""
    answers = operation["responses"]
    answer = f"<h2>Answer</h2><pre>{_schema(answers['200'])}</pre>" if "200" in answers else ""
    rows = "".join(
        f"<tr><td>{status}</td><td>{escape(response['description'])}</td></tr>"
        for status, response in answers.items()
    )
    return (
        f"<details><summary><code>{method.upper()} {escape(path)}</code> "
        f"{escape(operation['summary'])}</summary>{body}{answer}"
        f"<h2>Statuses</h2><table>{rows}</table></details>\n"
    )


def _schema(content: Schema) -> str:
    """Give the schema of a body or an answer as indented JSON."""
    first = next(iter(content["content"].values()))
    return escape(json.dumps(first["schema"], indent=2, ensure_ascii=False))
