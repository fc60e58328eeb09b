"""schemathesis, run against an API that runs: does every answer stand in the OpenAPI document, and is none 5xx?"""

import asyncio
import sys
import tempfile
from pathlib import Path

UNSIGNED = (
    *("--include-path-regex", "^/twilio"),
    *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"),
)
CONFIG = Path(__file__).with_suffix("").with_name("schemathesis.toml")


async def attack(
    url: str, *, key: str | None, examples: int, seed: int | None, phases: str, unsigned: bool = False
) -> tuple[int, str]:
    """Its exit code, 0 where nothing was found, and what it says. Without a seed the examples are the same ones.

    `unsigned` asks Twilio's routes alone, of an API that takes forms without signature (and without all of a form).
    """
    headers = [] if key is None else ["--header", f"Authorization: Bearer {key}"]
    chance = ["--generation-deterministic"] if seed is None else ["--seed", str(seed)]
    with tempfile.TemporaryDirectory(prefix="schemathesis") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
            *("--mode", "all", "--phases", phases, "--max-examples", str(examples), *chance, *headers),
            *(UNSIGNED if unsigned else ()),
            *("--continue-on-failure", "--request-timeout", "20", "--no-color", "--warnings", "off"),
            cwd=folder,  # it leaves its findings there
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            says, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
    return process.returncode or 0, says.decode()
