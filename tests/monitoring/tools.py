"""Prometheus and its tools, as Debian packages them (`apt-get install --no-install-recommends prometheus`)."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from devstack.processes import Process, free_ports

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy/prometheus/rules.yml"
CONFIG = ROOT / "deploy/prometheus/prometheus.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/heliograph.json"

MISSING = [tool for tool in ("prometheus", "promtool") if shutil.which(tool) is None]
# Where they must be there (CI), a test that needs them fails without them instead of being left out.
needs_prometheus = pytest.mark.skipif(
    bool(MISSING) and not os.environ.get("REQUIRE_TOOLS"),
    reason=f"{', '.join(MISSING)} not found: apt-get install --no-install-recommends prometheus",
)

# Words of PromQL that look like names of metrics, and functions.
_WORDS = {"absent", "and", "by", "count", "histogram_quantile", "increase", "max", "min", "on", "or", "rate", "sum"} | {
    "time", "topk", "unless",
}  # fmt: skip


def promtool(*arguments: str | Path) -> str:
    """What it prints; fails the test when it finds fault with something."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names_in(expression: str) -> set[str]:
    """The metrics that an expression reads."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)', "", expression)
    return {word for word in re.findall(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*", bare) if word not in _WORDS}


class Prometheus:
    """A real one, on loopback, that scrapes every second."""

    def __init__(self, folder: Path, targets: dict[str, list[str]], rules_text: str) -> None:
        """`targets` are host:port, by job."""
        folder.mkdir(parents=True)
        [port] = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        (folder / "rules.yml").write_text(rules_text)
        jobs = [{"job_name": job, "static_configs": [{"targets": where}]} for job, where in targets.items()]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._process = Process("prometheus", command, dict(os.environ), folder, folder / "prometheus.log")
        self._http = httpx.AsyncClient(base_url=self.url, timeout=10)

    async def __aenter__(self) -> "Prometheus":
        self._process.start()
        for _ in range(200):
            try:
                if (await self._http.get("/-/ready")).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError(self._process.tail())

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await asyncio.to_thread(self._process.stop)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        answer = (await self._http.get("/api/v1/query", params={"query": expression})).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def names(self) -> set[str]:
        """Of every metric that was scraped."""
        return set((await self._http.get("/api/v1/label/__name__/values")).json()["data"])

    async def rules(self) -> list[dict[str, Any]]:
        groups = (await self._http.get("/api/v1/rules")).json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def firing(self) -> set[str]:
        return {one["metric"]["alertname"] for one in await self.query('ALERTS{alertstate="firing"}')}

    async def until(self, expression: str, seconds: float = 20) -> list[dict[str, Any]]:
        """The result, as soon as there is one."""
        for _ in range(int(seconds * 5)):
            if found := await self.query(expression):
                return found
            await asyncio.sleep(0.2)
        raise AssertionError(f"after {seconds} s nothing is found of {expression}")
