"""The definitions of the project, loaded as the tests of the components load them."""

from cdp_platform_tests.components.conftest import definitions, parsed_home

__all__ = ["definitions", "parsed_home"]
