"""The demo's shelves as one asset: made once, from the receipts and a seed, and handed to the sandbox as a file."""

from typing import Any

import dagster as dg
from pydantic import Field

from cdp_platform.components.days import LocalDay
from cdp_platform.components.resources import PLATFORM, Platform


class GoodsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Put the retailer's real products on the shelves of the sandbox, with a stock that moves from day to day."""

    seed: int = Field(description="What the made-up part is drawn from; the same seed gives the same bytes.")
    replay_start: LocalDay = Field(description="The first day that the demo runs by itself.")
    replay_end: LocalDay = Field(description="The last day of it; there is a stock for each day up to here.")
    upstream: list[str] = Field(description="The assets of the same products, as raw/retail/products.")
    owner: str = Field(default="team:data", description="Who answers for the file: team:… or an e-mail.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the asset raw/demo/goods."""

        @dg.asset(
            key=["raw", "demo", "goods"],
            deps=[dg.AssetKey.from_user_string(key) for key in self.upstream],
            group_name="sources",
            description="A file for the sandbox: which products its inventory has, how many on each day, which "
            "campaigns there are, and what is being offered to whom. Products, sales and campaigns are real; stock, "
            "offers and deals are made up once from a seed.",
            owners=[self.owner],
            kinds={"python"},
            backfill_policy=dg.BackfillPolicy.single_run(),
            op_tags={"room": "ingest"},
        )
        def goods(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
            from cdp_platform.ingest.goods import make_goods

            replay = (self.replay_start, self.replay_end)
            made = make_goods(platform.home.sandbox / "goods.json", seed=self.seed, replay=replay)
            if not made.is_new:
                context.log.info("The file is there already; the same seed would give the same bytes.")
            counts = {
                "items": made.item_count,
                "offers": made.offer_count,
                "campaigns": made.campaign_count,
                "deals": made.deal_count,
            }
            return dg.MaterializeResult(metadata={**counts, "made_now": made.is_new})

        return dg.Definitions(assets=[goods], resources={"platform": PLATFORM})
