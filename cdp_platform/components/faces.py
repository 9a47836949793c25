"""The demo's further sources as one asset: made once, from the households and a seed, and shown in the graph."""

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from cdp_platform.components.days import LocalDay
from cdp_platform.components.resources import PLATFORM, Platform


class FacesComponent(dg.Component, dg.Model, dg.Resolvable):
    """Make the demo's web events, loyalty cards and support tickets out of the retail households."""

    seed: int = Field(description="What the fictional part is drawn from; the same seed gives the same bytes.")
    name_parts: str = Field(description="The CSV file with the parts of fictional names, from the project's root.")
    replay_start: LocalDay = Field(description="The first day that the demo runs by itself.")
    replay_end: LocalDay = Field(description="The last day of it; some tickets and logins happen between the two.")
    upstream: list[str] = Field(description="The assets of the same households, as raw/retail/transactions.")
    owner: str = Field(default="team:data", description="Who answers for the files: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset raw/demo/faces."""
        name_parts = context.project_root / self.name_parts
        replay: tuple[date, date] = (self.replay_start, self.replay_end)

        @dg.asset(
            key=["raw", "demo", "faces"],
            deps=[dg.AssetKey.from_user_string(key) for key in self.upstream],
            group_name="sources",
            description="Files as three other systems would deliver them: web events, loyalty cards, support tickets; "
            "and beside them the truth, which record is which person. Made once from the households and a seed.",
            owners=[self.owner],
            kinds={"python"},
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "ingest"},
        )
        def faces(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            # The households' year is read with it, which nothing else at load needs.
            from cdp_platform.ingest.faces import make_faces

            made = make_faces(platform.home.demo_sources, name_parts, seed=self.seed, replay=replay)
            if not made.is_new:
                context.log.info("The files are there already; the same seed would give the same bytes.")
            return dg.MaterializeResult(metadata={**made.counts, "made_now": made.is_new})

        return dg.Definitions(assets=[faces], resources={"platform": PLATFORM})
