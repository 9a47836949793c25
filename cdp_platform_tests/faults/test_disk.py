"""A disk that is full from some moment on: one clear error, nothing false, nothing lost, and room again is enough."""

import pytest

from cdp_platform_tests.faults.checker import rows_in_flight
from cdp_platform_tests.faults.stage import Stage

FULL_AT = {
    "nothing may be written any more while the model is read": "plan.reading:1:0",
    "while the plan is recorded": "plan.kept:1:0",
    "when the plan is begun": "plan.recorded:1:0",
    "with the first intent noted": "intent.committed:1:0",
    "in the middle of the send, between two requests": "outcome.committed:1:0",
    "in the middle of the send, with an answer in hand": "answer.unrecorded:2:0",
    "a few lines later": "outcome.committed:1:9000",
    "inside settle": "settle.uncommitted:1:0",
    "between settle's commit and the emptying of the journal": "settle.committed:1:0",
    "when the journal is emptied": "settle.remembered:1:0",
}
SENDS_NOTHING = ("plan.reading", "plan.kept", "plan.recorded")
SENDS_SOMETHING = ("answer", "outcome", "settle")


@pytest.mark.parametrize("moment", FULL_AT)
def test_a_disk_that_is_full_loses_nothing_and_says_so(moment: str, stage: Stage) -> None:
    full_at = FULL_AT[moment]
    ended = stage.run(full_at=full_at)
    assert ended.code == 3, ended.error
    assert ended.error.count("\n") == 1, ended.error
    assert "Check the disk" in ended.error
    assert "@" not in ended.error
    if full_at.startswith(SENDS_NOTHING):
        assert stage.gateway.write_count == 0
    if full_at.startswith(SENDS_SOMETHING):
        assert stage.gateway.accepted_count > 0, "no work had happened"
    in_flight = rows_in_flight(stage.root)
    before = stage.gateway.accepted_count
    resumed = stage.run()
    assert resumed.code == 0, resumed.error
    assert stage.faults() == []
    sent_again = stage.gateway.accepted_count - len({row for write in stage.gateway.writes for row in write.accepted})
    assert 0 <= sent_again <= in_flight, f"{before} rows had been accepted"
    assert list((stage.root / "plans").rglob("draft-*")) == []
