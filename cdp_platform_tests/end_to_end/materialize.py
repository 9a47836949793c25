"""`python -m cdp_platform_tests.end_to_end.materialize FIRST LAST GROUP …`: what somebody does in the UI, as one run.

Each group's assets are made, with the days of the range for those that have days.
"""

import sys
from dataclasses import replace
from datetime import date

import dagster as dg

from cdp_platform.cli.runs import open_runner
from cdp_platform.connectors.credentials import cdp_home


def main(first: str, last: str, *groups: str) -> None:
    with open_runner(cdp_home()) as runner:
        job = dg.define_asset_job("chosen", selection=dg.AssetSelection.groups(*groups).materializable())
        definitions = dg.Definitions.merge(runner.definitions, dg.Definitions(jobs=[job]))
        replace(runner, definitions=definitions).run(
            "chosen", days=(date.fromisoformat(first), date.fromisoformat(last))
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
