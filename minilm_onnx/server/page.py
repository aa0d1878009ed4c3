"""Pages for a browser."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PAGE = Path(__file__).parent / "page.html"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def page(request: Request) -> Response:
    """Give the page that compares texts."""
    return as_page(PAGE.read_bytes())


def as_page(content: bytes) -> Response:
    """Give a page, which may load nothing from elsewhere."""
    return Response(
        content,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": POLICY, "referrer-policy": "no-referrer"},
    )


def wants_page(request: Request) -> bool:
    """Whether a browser asks, and not a program."""
    return "text/html" in request.headers.get("accept", "")
