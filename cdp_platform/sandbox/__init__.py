"""Stateful local stand-ins for the SaaS tools: where a sync delivers to in the demo and in tests.

The sandbox reads the vendor's public documents on its own and shares no code with connectors or destinations,
so that an error in our client meets an independent reading instead of its own mirror image.
"""

from cdp_platform.sandbox.app import create_app
from cdp_platform.sandbox.environment import environment_of
from cdp_platform.sandbox.server import run_sandbox, serve_sandbox
from cdp_platform.sandbox.settings import SandboxSettings, read_or_create_token

__all__ = ["SandboxSettings", "create_app", "environment_of", "read_or_create_token", "run_sandbox", "serve_sandbox"]
