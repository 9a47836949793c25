"""`python -m cdp_platform.cli`."""

from cdp_platform.cli import main

main()
