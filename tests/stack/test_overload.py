"""Five times as much as can be sent, for some seconds: `make overload` in its short form."""

import argparse
from pathlib import Path

import pytest

from tests.bench import overload

pytestmark = pytest.mark.timeout(240)

BRIEFLY = {"seconds": 5.0, "times": 6.0, "measure": 2.0, "batch": 10, "every_batch": 3.0, "drain": 120.0}


async def test_what_is_accepted_past_saturation_is_accepted_quickly_and_all_of_it_is_delivered(data: Path) -> None:
    with overload.stack(data / "overload") as parts:
        figures = await overload.measure(parts, argparse.Namespace(**BRIEFLY), print)
    for line in overload.told(figures):
        print(line)  # noqa: T201  # seen when it fails
    assert overload.broken(figures, within=2_000) == []  # other tests run beside it
