"""The saved views of docs/operators.md."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"


def views() -> dict[str, str]:
    """Each view's query, by its name."""
    rows = re.findall(r"^\| ([^|]+) \| `([^`]+)` \|$", PAGE.read_text(), re.MULTILINE)
    return dict(rows)
