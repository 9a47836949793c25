"""The contract's assertions are told in full, as those of any test."""

import pytest

pytest.register_assert_rewrite("cdp_platform.testing.destination_contract")
