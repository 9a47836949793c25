"""What Dagster shows of what a plan cost: what the warehouse told, and what is estimated is called so."""

from cdp_platform.components.sync_metadata import cost_metadata
from cdp_platform.domain.costs import Cost


def test_what_is_not_known_is_not_shown() -> None:
    assert cost_metadata(None) == {}
    assert cost_metadata(Cost(statements=3)) == {"warehouse_statements": 3}
    assert cost_metadata(Cost(statements=3, bytes_scanned=0)) == {
        "warehouse_statements": 3,
        "warehouse_bytes_scanned": 0,
    }


def test_an_estimate_of_credits_is_called_one_and_says_what_it_leaves_out() -> None:
    told = cost_metadata(Cost(statements=3, seconds=90.0, size="Small", credits=0.00015, estimated_credits=0.05))
    assert (told["warehouse_seconds"], told["warehouse_size"], told["warehouse_credits"]) == (90.0, "Small", 0.00015)
    assert told["warehouse_credits_estimate"] == 0.05
    assert told["warehouse_estimate"].startswith("An estimate") and "a minute at least" in told["warehouse_estimate"]


def test_credits_that_were_told_are_no_estimate() -> None:
    assert "warehouse_estimate" not in cost_metadata(Cost(credits=0.00015))
