"""The commands as a person types them."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from devstack.processes import Process, answers
from devstack.stack import Ports, heliograph

BARE = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def ports_environment(ports: Ports) -> dict[str, str]:
    return {
        "PORT": str(ports.api),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{ports.temporal}",
        "TEMPORAL_UI_PORT": str(ports.ui),
        "TEMPORAL_UI_URL": f"http://127.0.0.1:{ports.ui}",
        "SIMULATOR_PORT": str(ports.simulator),
        "CODEC_PORT": str(ports.codec),
        "COLUMNS": "160",
    }


def test_the_demo_shows_what_it_promises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "TWILIO_ACCOUNT_SID=ACfeedfeedfeedfeedfeedfeedfeedfeed\nTWILIO_AUTH_TOKEN=" + "x" * 32
    )
    ended = subprocess.run(
        heliograph("demo"), cwd=tmp_path, env=BARE | {"COLUMNS": "160"}, capture_output=True, text=True, timeout=110
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for promised in ("delivered", "duplicate", "refused", "undelivered", "operators told", "All as it should be"):
        assert promised in ended.stdout
    assert list((tmp_path / "var").iterdir()) == []


def start(place: Path, environment: dict[str, str]) -> Process:
    """`make up`, on ports of its own."""
    process = Process("dev", heliograph("dev"), environment, place, place / f"dev-{len(list(place.iterdir()))}.log")
    process.start()
    process.wait_ready(lambda: "Heliograph is up" in process.tail(30), 60)
    return process


def run(place: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        heliograph(*arguments), cwd=place, env=environment, capture_output=True, text=True, timeout=60
    )


def test_make_up_runs_until_ctrl_c_and_finds_its_data_again(tmp_path: Path) -> None:
    environment = BARE | ports_environment(Ports.free())
    process = start(tmp_path, environment)
    try:
        assert answers(f"http://127.0.0.1:{environment['PORT']}/docs")
        assert answers(f"http://127.0.0.1:{environment['SIMULATOR_PORT']}/")
        sent = run(
            tmp_path, environment, "send", "order-shipped", "eventId=typed-by-hand", "phone=+15558675310",
            "orderId=7", "consentAt=now", "--wait", "10",
        )  # fmt: skip
        assert (sent.returncode, json.loads(sent.stdout)["status"]) == (0, "sent")
        repeated = run(tmp_path, environment, "bootstrap")
        assert (repeated.returncode, "all 10 are there" in repeated.stdout) == (0, True)
        assert answers(f"http://127.0.0.1:{environment['CODEC_PORT']}/healthz")
        assert re.search(r"log in at http://127\.0\.0\.1:\d+/login, key [0-9a-f]{32}", process.tail(30))
        rekeyed = run(tmp_path, environment, "rekey")
        assert (rekeyed.returncode, "2 sealed texts: 0 are now under development" in rekeyed.stdout) == (0, True)
        healthy = run(tmp_path, environment, "doctor")
        assert healthy.returncode == 0, healthy.stdout
        for options, code in (((), 1), (("--force",), 0)):
            again = run(tmp_path, environment, "resend", "typed-by-hand", "--reason", "lost the handset", *options)
            assert again.returncode == code, again.stdout
        second = run(tmp_path, environment, "dev")
        assert (second.returncode, "is in use" in second.stdout) == (1, True)
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.finish(90)
    process = start(tmp_path, environment)
    try:
        traced = run(tmp_path, environment, "trace", "typed-by-hand")
        assert traced.returncode == 0
        assert "***5310" in traced.stdout
        sid = next(word for word in traced.stdout.split() if word.startswith("SM"))
        assert run(tmp_path, environment, "trace", sid).stdout == traced.stdout
        assert run(tmp_path, environment, "trace", "no-such-event").returncode == 1
        url = f"http://127.0.0.1:{environment['SIMULATOR_PORT']}/simulator/messages"
        with urllib.request.urlopen(url) as texts:
            assert len(json.load(texts)) == 2
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.finish(90)


def test_the_doctor_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    ended = run(tmp_path, BARE | ports_environment(Ports.free()), "doctor")
    assert ended.returncode == 1
    for advice in ("heliograph bootstrap", "make up", "TWILIO_ACCOUNT_SID"):
        assert advice in ended.stdout


def test_worker_and_api_say_that_they_wait_for_bootstrap(tmp_path: Path) -> None:
    environment = BARE | ports_environment(Ports.free())
    process = Process("worker", heliograph("worker"), environment, tmp_path, tmp_path / "worker.log")
    process.start()
    process.wait_ready(lambda: "run `heliograph bootstrap`" in process.tail(), 20)
    os.kill(process.pid, signal.SIGTERM)
    process.finish(10)


def test_nobody_answers(tmp_path: Path) -> None:
    ended = run(tmp_path, BARE | ports_environment(Ports.free()), "trace", "some-event")
    assert (ended.returncode, "Is `heliograph api` running?" in ended.stdout) == (1, True)


def test_worker_py_is_the_worker(tmp_path: Path) -> None:
    worker = Path(__file__).parents[2] / "worker.py"
    ended = subprocess.run(
        [sys.executable, str(worker)],
        cwd=tmp_path,
        env=BARE | {"PORT": "0"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stderr.startswith("setting PORT")) == (2, True)
