"""The words YAML may say: one component per file. With the CLI and the definitions the only place that imports Dagster.

Names are resolved when they are asked for, so that reading one `defs.yaml` does not import what the others need.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "AlertsComponent": "alerts",
    "AudienceComponent": "audience",
    "AutomationComponent": "automation",
    "ChecksComponent": "checks",
    "ConsentPolicyComponent": "consent_policy",
    "DeliveriesComponent": "deliveries",
    "FacesComponent": "faces",
    "FeedbackComponent": "feedback",
    "GoodsComponent": "goods",
    "IdentityComponent": "identity",
    "LoopComponent": "loop",
    "ModelsComponent": "models",
    "SourceComponent": "source",
    "SyncComponent": "sync",
    "TraitsComponent": "traits",
}

__all__ = [
    "AlertsComponent",
    "AudienceComponent",
    "AutomationComponent",
    "ChecksComponent",
    "ConsentPolicyComponent",
    "DeliveriesComponent",
    "FacesComponent",
    "FeedbackComponent",
    "GoodsComponent",
    "IdentityComponent",
    "LoopComponent",
    "ModelsComponent",
    "SourceComponent",
    "SyncComponent",
    "TraitsComponent",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
