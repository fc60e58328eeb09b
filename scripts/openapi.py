"""Writes docs/openapi.json: the API as this version has it, whatever the settings."""

import json
from pathlib import Path

from api.app import create_app
from settings import Settings

PLACE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def document() -> str:
    """Sorted, so that a change is seen where it is."""
    described = create_app(Settings.model_construct()).openapi()
    return json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(document())
