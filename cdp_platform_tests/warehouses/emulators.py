"""What the emulators of the big warehouses cannot do, by the names of the tests that need it: the one list of it."""

from collections.abc import Mapping
from typing import Final

import pytest

BIGQUERY_LACKS: Final[Mapping[str, str]] = {}
"""crucible-emulator 0.1.0a2, with what `crucible_server` adds."""


def left_out(request: pytest.FixtureRequest, lacks: Mapping[str, str]) -> None:
    """Skip, saying why, a test that an emulator cannot hold."""
    name = request.node.name
    for reason in (lacks.get(name), lacks.get(name.split("[", 1)[0])):
        if reason:
            pytest.skip(f"the emulator has no {reason}: NOT tested")
