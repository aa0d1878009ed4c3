"""The tools and the resource, as the SDK serves them.

https://modelcontextprotocol.io/specification; the SDK does all that the protocol asks for.
"""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Annotated, Any

from anyio import create_memory_object_stream, create_task_group
from anyio.to_thread import run_sync
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp.server.stdio import stdio_server
from mcp_types import JSONRPCError, JSONRPCResponse, ToolAnnotations
from pydantic import Field, ValidationError

from minilm_onnx.errors import MiniLMError, shorten
from minilm_onnx.mcpserver.answers import Found, Indexed, Status
from minilm_onnx.mcpserver.library import TEMPLATE, Library
from minilm_onnx.mcpserver.opening import INFO, INSTRUCTIONS, Opening

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
# It takes out of the index what is gone from the disk.
WRITES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
WHERE = """\
only passages whose metadata matches, such as: lang = 'en' and modified >= 2026-01-31. Texts are
in single quotes; fields are named as in the metadata of passages. Operators: =, !=, <, <=, >, >=,
in (...), like '%...%', is null, and, or, not, parentheses"""
# Strict: else true would be 1, and "no" would be false.
TopK = Annotated[int, Field(strict=True, description="passages to give, 1 to 4096")]


class Server(MCPServer[Any]):
    """The SDK's server; what is wrong with arguments is one line, and unknown ones are refused."""

    def __init__(self, parameters: dict[str, set[str]]) -> None:
        """Prepare.

        Args:
            parameters: names of those that each tool has.
        """
        super().__init__(
            INFO["name"],
            version=INFO["version"],
            instructions=INSTRUCTIONS,
            subscriptions=False,  # nobody is told of changes
            log_level="WARNING",
        )
        self._parameters = parameters

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """Call a tool.

        Raises:
            ToolError: the arguments are wrong, or the tool cannot do it.
        """
        others = set(arguments) - self._parameters.get(name, set(arguments))
        if others:
            raise ToolError(
                f"{name}: expected only {', '.join(sorted(self._parameters[name]))}, got "
                f"{shorten(', '.join(sorted(others)))}"
            )
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
                for one in error.__cause__.errors(include_input=False, include_url=False)
            )
            raise ToolError(f"{name}: {shorten(wrong)}") from None

    async def run_opened(self, opening: Opening, left: Callable[[], None]) -> None:
        """Serve a connection over stdin and stdout from its opening on, until the client leaves.

        Args:
            opening: how it began.
            left: called when the client has left, before calls that are at work are waited for.

        Raises:
            ExceptionGroup: stdout failed.
        """
        lowlevel = self._lowlevel_server
        async with stdio_server(stdin=_lines(opening.line, left)) as (reading, writing):
            answers, given = create_memory_object_stream[Any](0)
            async with create_task_group() as group:
                group.start_soon(_pass_on, given, writing, opening.answered, left)
                await lowlevel.run(reading, answers, lowlevel.create_initialization_options())


async def _lines(first: bytes, left: Callable[[], None]) -> AsyncIterator[str]:
    """Give the line that was read already, then those of stdin."""
    line = first
    while line:
        yield line.decode("utf-8", "replace")
        # It may wait for ever where stdout has failed.
        line = await run_sync(sys.stdin.buffer.readline, abandon_on_cancel=True)
    left()


async def _pass_on(
    given: Any, writing: Any, answered: int | str | None, left: Callable[[], None]
) -> None:
    """Hand on what the SDK says, but for its answer to the request that was answered."""
    try:
        async with given, writing:
            async for one in given:
                if answered is not None and _answers(one.message, answered):
                    answered = None
                else:
                    await writing.send(one)
    finally:  # cancelled, where stdout has failed
        left()


def _answers(message: Any, number: int | str) -> bool:
    return isinstance(message, JSONRPCResponse | JSONRPCError) and message.id == number


@contextmanager
def _in_words(kind: type[Exception]) -> Iterator[None]:
    """Give a client the errors that were foreseen; the SDK keeps the words of others to itself."""
    try:
        yield
    except MiniLMError as error:
        raise kind(str(error)) from error


def create_server(library: Library) -> Server:
    """Make the server of an index; without a tool that writes where nothing may be indexed."""

    def search(
        query: Annotated[str, Field(description="a question, or any text")],
        top_k: TopK = 5,
        source: Annotated[
            str | list[str] | None,
            Field(
                description="only in sources, or folders, that fit a pattern such as notes/*.md, "
                "or one of several; * is any text"
            ),
        ] = None,
        where: Annotated[str | None, Field(description=WHERE)] = None,
        hybrid: Annotated[
            bool,
            Field(
                strict=True, description="join the ranking by meaning with the one by words (BM25)"
            ),
        ] = False,
    ) -> Found:
        """Find the passages of the user's files that are nearest to a question in meaning."""
        with _in_words(ToolError):
            return library.search(query, top_k=top_k, source=source, where=where, hybrid=hybrid)

    def similar(
        uri: Annotated[str, Field(description="of a passage, as search gives it")],
        top_k: TopK = 5,
    ) -> Found:
        """Find the passages that are nearest in meaning to one that search found."""
        with _in_words(ToolError):
            return library.similar(uri, top_k=top_k)

    def status() -> Status:
        """Say what is indexed: how many passages, of which sources, by which model."""
        with _in_words(ToolError):
            return library.status()

    def index(
        paths: Annotated[
            list[str], Field(description="files and folders, in the folders that may be indexed")
        ],
    ) -> Indexed:
        """Bring the index up to date with files and folders; what is gone from them is removed."""
        with _in_words(ToolError):
            return library.add(paths)

    def passage(source: str, lines: str) -> str:
        """Give the text of a passage that search found, by its uri."""
        with _in_words(ResourceNotFoundError):
            return library.read(source, lines)

    tools: list[tuple[Callable[..., Any], ToolAnnotations]] = [
        (search, READS),
        (similar, READS),
        (status, READS),
    ]
    if library.folders:
        tools.append((index, WRITES))
    server = Server({tool.__name__: set(signature(tool).parameters) for tool, _ in tools})
    for tool, annotations in tools:
        server.add_tool(tool, annotations=annotations)
    # A source is the name of something in the index, and is not opened.
    by_name = ResourceSecurity(exempt_params={"source"})
    server.resource(TEMPLATE, mime_type="text/plain", security=by_name)(passage)
    return server
