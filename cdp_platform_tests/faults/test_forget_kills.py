"""SIGKILL while a person is erased: the next try finishes, at the sandbox, too, and nothing of the person is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from cdp_platform_tests.faults.scenario import TOKEN
from cdp_platform_tests.faults.stage import Stage, staged
from cdp_platform_tests.faults.test_kills import ERASURE_PLACES, in_turn

_FORGET = """
import os, signal, sys
from pathlib import Path
from cdp_platform import faultpoints
from cdp_platform.erasure.forget import Scope, forget
from cdp_platform_tests.faults.scenario import engine_of, spec_of
root, url, place = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
faultpoints.hook = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == place else None
engine = engine_of(root)
people = {"person_id": "person_id", "email": "email"}
declared = {"activation.people": people, "marts.consents": {"identifier": "email"}}
scope = Scope(home=engine.home, warehouse=engine.warehouse, journal=engine.journal, declared=declared,
              syncs=[(engine, spec_of(url))])
forget(scope, "Person7@example.com")
"""
PERSON, ADDRESS = b"p-0007", b"erson7@example.com"


def erase(stage: Stage, kill_at: str = "") -> int:
    """Erase the seventh person in a process of its own; the answer is its exit code."""
    command = [sys.executable, "-c", _FORGET, str(stage.root), stage.sandbox_url, kill_at]
    ended = subprocess.run(
        command,
        env=os.environ | {"CDP_FAULTS_TOKEN": TOKEN},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode


def is_contact(stage: Stage) -> bool:
    answer = requests.get(
        f"{stage.sandbox_url}/crm/v3/objects/contacts/p-0007?idProperty=cdp_person_id",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=10,
    )
    return answer.status_code == 200


@pytest.mark.parametrize("place", in_turn(sorted(ERASURE_PLACES)))
def test_an_erasure_that_was_killed_is_finished_by_the_next_try(place: str, template: Path, tmp_path: Path) -> None:
    with staged(tmp_path, template) as stage:
        assert is_contact(stage)
        assert erase(stage, kill_at=place) == -signal.SIGKILL
        assert list((stage.root / "erasures").glob("*.json")), "no work had been noted"
        assert erase(stage) == 0
        assert not is_contact(stage)
        stage.run()
        assert not is_contact(stage)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.name for file in files if PERSON in file.read_bytes() or ADDRESS in file.read_bytes()] == []
