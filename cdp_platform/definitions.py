"""The code location: everything that `defs/` declares, with the platform's resources and executor."""

from pathlib import Path

from cdp_platform.components.loading import load_definitions

_PACKAGE = Path(__file__).parent

defs = load_definitions(_PACKAGE / "defs", project_root=_PACKAGE.parent)
