"""An index's passages in PostgreSQL, for the pgvector extension to search.

Needs `pip install '.[postgres]'` and a server with pgvector 0.5 or newer,
https://github.com/pgvector/pgvector.
"""

import re
from typing import TYPE_CHECKING, Any

from minilm_onnx.checks import check_positive
from minilm_onnx.encoder import SentenceEncoder
from minilm_onnx.errors import InputError, importing, shown
from minilm_onnx.index.filterparsing import parse_filter
from minilm_onnx.index.folding import folded
from minilm_onnx.index.results import Result
from minilm_onnx.index.textindex import TextIndex
from minilm_onnx.integrations.filters import fields_of
from minilm_onnx.integrations.pgfilters import condition_of

if TYPE_CHECKING:
    import psycopg

# The most that an HNSW index looks at.
MOST = 1000
# Unquoted identifiers of PostgreSQL, short enough for the names of their indexes.
NAME = re.compile(r"[a-z_][a-z0-9_]{0,50}")


def copy_passages(
    index: TextIndex, connection: "psycopg.Connection[Any]", table: str = "passages"
) -> int:
    """Copy all passages of an index into a table, and replace its earlier rows.

    Readers see the old passages until all new ones are there. The table gets an HNSW index for
    cosines, and stores the encoder's fingerprint in its comment. The column `metadata` is for your
    own SQL; `search_passages` uses the column `fields` (see `fields_of`).

    Args:
        index: the index to copy.
        connection: a connection to a database that has the extension, or where it may be created.
            In a transaction, the copy is a part of it, and you commit it.
        table: the name of the table, which is created if missing.

    Returns:
        The number of passages copied.

    Raises:
        InputError: the name is invalid, a package is missing, or a different table has this name.
        psycopg.Error: the server reported an error; the table is unchanged.
    """
    register_vector, sql = _packages()
    name = _named(sql, table)
    with connection.transaction():
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_vector(connection)
        cursor = connection.cursor()  # made now, since it takes what is registered
        found = _comment(cursor, table)
        if found is not None and not found.startswith("minilm-onnx "):
            raise InputError(
                f"{table}: expected no table, or one of minilm-onnx, got another; "
                "choose another name"
            )
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        cursor.execute(
            sql.SQL(
                "CREATE TABLE {} (id bigint PRIMARY KEY, source text NOT NULL, "
                "first_line integer NOT NULL, last_line integer NOT NULL, headings text NOT NULL, "
                "text text NOT NULL, embedding vector({}) NOT NULL, metadata jsonb NOT NULL, "
                "fields jsonb NOT NULL)"
            ).format(name, sql.Literal(index.encoder.dimension))
        )
        copied = 0
        statement = sql.SQL("COPY {} FROM STDIN WITH (FORMAT BINARY)").format(name)
        with cursor.copy(statement) as copy:
            vector = connection.adapters.types.get_oid("vector")
            before = ["int8", "text", "int4", "int4", "text", "text"]
            copy.set_types([*before, vector, "jsonb", "jsonb"])
            for passage in index.passages():
                metadata = passage.metadata
                copy.write_row(
                    [
                        passage.id,
                        _without_nul(passage.source),
                        passage.first_line,
                        passage.last_line,
                        _without_nul(passage.headings),
                        _without_nul(passage.text),
                        passage.vector,
                        metadata,
                        fields_of(metadata),
                    ]
                )
                copied += 1
        cursor.execute(
            sql.SQL("CREATE INDEX ON {} USING hnsw (embedding vector_cosine_ops)").format(name)
        )
        cursor.execute(sql.SQL("CREATE INDEX ON {} (source)").format(name))
        comment = sql.Literal(f"minilm-onnx {index.encoder.fingerprint}")
        cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, comment))
    return copied


def search_passages(
    encoder: SentenceEncoder,
    connection: "psycopg.Connection[Any]",
    query: str,
    top_k: int = 5,
    table: str = "passages",
    where: str | None = None,
) -> list[Result]:
    """Find the passages of a table that are nearest to a query in meaning.

    The HNSW index finds most of the nearest passages, not always all. With a filter, this index is
    not used: all passages that match are compared, and the results are exactly the nearest.

    Args:
        encoder: the encoder that made the vectors, or one with the same fingerprint.
        connection: a connection to the database.
        query: a question, or any text.
        top_k: maximum number of results, at most 1,000.
        table: see `copy_passages`.
        where: a filter on metadata, as in `TextIndex.search`, or None.

    Raises:
        InputError: the table does not exist or belongs to another encoder, or the filter is
            invalid.
        psycopg.Error: the server reported an error.
    """
    register_vector, sql = _packages()
    name = _named(sql, table)
    top_k = check_positive("top_k", top_k, MOST)
    wanted = None if where is None else parse_filter(where)
    vector = encoder.encode_query(folded(query), normalize_embeddings=True)
    with connection.transaction():
        found = _comment(connection, table)
        if found is None or not found.startswith("minilm-onnx "):
            raise InputError(
                f"{table}: expected a table of minilm-onnx, got none; run copy_passages first"
            )
        encoder.check_fingerprint(found.removeprefix("minilm-onnx "))
        _refuse_former(connection, table)
        register_vector(connection)
        # What the index looks at; by default it finds no more than 40.
        least = sql.Literal(max(40, top_k))
        connection.execute(sql.SQL("SET LOCAL hnsw.ef_search = {}").format(least))
        parameters: dict[str, Any] = {"vector": vector, "top_k": top_k}
        matching = sql.SQL("true")
        if wanted is not None:
            # Which would take the nearest first, then those that match.
            connection.execute("SET LOCAL enable_indexscan = off")
            matching = condition_of(sql, wanted, parameters)
        rows = connection.execute(
            sql.SQL(
                "SELECT 1 - (embedding <=> %(vector)s), source, first_line, last_line, headings, "
                "text, metadata FROM {} WHERE {} ORDER BY embedding <=> %(vector)s LIMIT %(top_k)s"
            ).format(name, matching),
            parameters,
        ).fetchall()
    return [Result(*row) for row in rows]


def _packages() -> tuple[Any, Any]:
    with importing("pgvector", "the packages pgvector and psycopg", "postgres"):
        from pgvector.psycopg import register_vector
        from psycopg import sql
    return register_vector, sql


def _named(sql: Any, table: str) -> Any:
    if not isinstance(table, str) or NAME.fullmatch(table) is None:
        raise InputError(
            f"table: expected a name of at most 51 lower-case letters, digits and _, got "
            f"{shown(table)}"
        )
    return sql.Identifier(table)


def _comment(connection: Any, table: str) -> str | None:
    """Give a table's comment, "" where it has none; None where there is no table."""
    found, comment = connection.execute(
        "SELECT to_regclass(%(table)s), obj_description(to_regclass(%(table)s))", {"table": table}
    ).fetchone()
    return None if found is None else comment or ""


def _refuse_former(connection: Any, table: str) -> None:
    """Raise InputError if a table has no metadata."""
    statement = (
        "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) "
        "AND attname IN ('metadata', 'fields')"
    )
    (count,) = connection.execute(statement, {"table": table}).fetchone()
    if count != 2:
        raise InputError(
            f"{table}: expected a table with metadata, got one of an earlier version; call "
            "copy_passages"
        )


def _without_nul(text: str) -> str:
    """Take out NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
