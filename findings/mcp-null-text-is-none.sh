#!/usr/bin/env bash
# mcp 2.3.0 (Model Context Protocol's Python SDK): a tool's argument of type `str | None` does not get
# every text as it was sent. The text null arrives as None, and a text that is a JSON object or list is
# parsed, so that it is refused as no string. An argument of type `str` gets all of them as they are.
# Who has an optional text, such as a filter, a title or a note, loses these without a word; required
# texts are safe, and so is an optional one whose default is "".
#
# Guess before the source was read: both arguments get the text, since the schema sent to clients allows strings.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mcp==2.3.0
"$folder/venv/bin/python" - <<'PY'
import asyncio

from mcp import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("notes")


@server.tool()
def required(text: str) -> str:
    return repr(text)


@server.tool()
def optional(text: str | None = "left out") -> str:
    return repr(text)


async def main() -> None:
    seen = {}
    async with Client(server) as client:
        for tool in ("required", "optional"):
            for text in ("null", '{"a": 1}', "7", "true"):
                found = await client.call_tool(tool, {"text": text})
                said = found.content[0].text
                seen[tool, text] = "an error" if found.is_error else said
                print(f"{tool}: sent {text!r}, the tool got {seen[tool, text]}")
    for text in ("null", '{"a": 1}', "7", "true"):
        assert seen["required", text] == repr(text)
    assert seen["optional", "null"] == "None"
    assert seen["optional", '{"a": 1}'] == "an error"
    assert seen["optional", "7"] == "'7'"


asyncio.run(main())
PY
