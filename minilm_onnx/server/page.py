"""The page for a browser."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PAGE = Path(__file__).parent / "page.html"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def page(request: Request) -> Response:
    """Give the page; it loads nothing from elsewhere."""
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
    return Response(PAGE.read_bytes(), media_type="text/html; charset=utf-8", headers=headers)


def wants_page(request: Request) -> bool:
    """Whether a browser asks, and not a program."""
    return "text/html" in request.headers.get("accept", "")
