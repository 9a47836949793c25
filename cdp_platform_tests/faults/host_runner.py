"""One host of several: `python -m cdp_platform_tests.faults.host_runner NAME BASE_URL SYNC RELATION LEASE_SECONDS`.

Its home, the warehouse, the journal's database and the folder of the plans are those of the environment, as in
production. It runs the sync until nothing is left to send, and prints a line of JSON: what its requests met, and when
it began and ended.
"""

import json
import socket
import sys
import time
import uuid
from dataclasses import replace

from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Capabilities
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError
from cdp_platform.syncs import lease
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform_tests.faults.scenario import spec_of

WINDOW_SECONDS = 1.0
WINDOW_REQUESTS = 5
"""What the account allows. One host alone keeps it by its own pace; two that do not share theirs cannot."""
BATCH_ROWS = 5


class SmallAccount(HubSpot):
    """HubSpot as it is given to an account with a small limit: requests arrive half a window late at most."""

    def capabilities(self, object_name: str) -> Capabilities:
        return replace(
            super().capabilities(object_name),
            requests_per_second=WINDOW_REQUESTS / (1.5 * WINDOW_SECONDS),
            burst_requests=WINDOW_REQUESTS,
            requests_at_once=1,
            batch_rows=BATCH_ROWS,
        )


def main() -> int:
    """Run the sync; 0 at the end, 3 with the error on stderr where the platform stopped by itself."""
    name, base_url, sync, relation, lease_seconds = sys.argv[1:]
    socket.gethostname = lambda: name
    lease.LEASE_SECONDS = float(lease_seconds)
    home = cdp_home()
    began_at, traffic = time.time(), Traffic()
    try:
        engine = Engine(
            home=home,
            warehouse=open_warehouse(home),
            journal=Journal(home),
            destination=SmallAccount(),
            open_session=open_session,
        )
        switch(engine.journal, sync, is_enabled=True)
        spec = replace(spec_of(base_url), name=sync, relation=relation)
        for _ in range(6):
            run_id = f"run-{uuid.uuid4().hex[:12]}"
            plan = make_plan(engine, spec, run_id=run_id)
            if not plan.to_send:
                break
            traffic += send_plan(engine, spec, plan, run_id=run_id, timing=Timing(jitter=lambda: 0.0)).traffic
    except CdpError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 3
    told = {"requests": traffic.request_count, "limited": traffic.limited_count, "paced": traffic.paced_seconds}
    sys.stdout.write(json.dumps(told | {"began_at": began_at, "ended_at": time.time()}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
