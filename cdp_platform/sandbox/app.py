"""The web application: one process that serves the stand-ins of all vendors. Their paths do not meet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette

from cdp_platform.sandbox.faults import WithFaults
from cdp_platform.sandbox.google.app import open_google
from cdp_platform.sandbox.hubspot.app import open_hubspot
from cdp_platform.sandbox.meta.app import open_meta
from cdp_platform.sandbox.salesforce.app import open_salesforce
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.vendor import Open
from cdp_platform.sandbox.zoho.app import open_zoho

VENDORS: Final[tuple[Open, ...]] = (open_salesforce, open_zoho, open_meta, open_google)
"""The vendors beside the CRM, which keeps the clock."""


def create_app(settings: SandboxSettings) -> WithFaults:
    """Return the application; its state files are opened now and closed when the application ends."""
    crm, day = open_hubspot(settings)
    vendors = [crm, *(open_vendor(settings, day) for open_vendor in VENDORS)]

    @asynccontextmanager
    async def close_at_the_end(_: Starlette) -> AsyncIterator[None]:
        yield
        for vendor in vendors:
            vendor.close()

    app = Starlette(routes=[route for vendor in vendors for route in vendor.routes], lifespan=close_at_the_end)
    return WithFaults(app)
