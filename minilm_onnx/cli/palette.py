"""The colours of all pictures: plots, heat maps, and the server's page, which has them as CSS.

A heat map's cell is PAPER where nothing is alike, KEY where all is, and a mix of both between.
"""

import re

INK, PAPER, RULE, KEY = "#1d232b", "#ffffff", "#c6cdd6", "#0b5cad"
# Of what stands beside: other engines, and a second figure of each.
OTHER, PALE = "#8a97a6", "#cfd6de"
# The same on a dark page.
DARK = {
    INK: "#e4e8ee",
    PAPER: "#14181d",
    RULE: "#46505c",
    KEY: "#7db8f5",
    OTHER: "#6f7d8c",
    PALE: "#3a444f",
}
# From these shares of KEY on, the other of black and white can be read better: 4.5 to 1 or more.
WHITE_FROM, BLACK_FROM_IN_DARK = 0.82, 0.6


def with_dark(svg: str) -> str:
    """Give a picture in these colours that is also right on a dark page."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in DARK.items()
        if light != PAPER
        for kind in ("fill", "stroke")
    )
    sheet = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda found: f"{found[1]}\n {sheet}", svg, count=1)
