"""The account, object and mapping of one `defs.yaml`, read alone: without the project's models and other syncs."""

from pathlib import Path

from cdp_platform.components.definition_file import DefinitionFile
from cdp_platform.components.sync import SyncComponent
from cdp_platform.components.sync_definition import make_spec
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.domain.syncs import NO_PURPOSE, SyncSpec
from cdp_platform.errors import ConfigError

_UNREAD = "none.none"


def spec_of_file(path: Path) -> SyncSpec:
    """Read what a sync's file says of its destination; where its rows come from, and whose consent, is left open.

    Raises ConfigError for a file that is missing, holds no sync, or cannot work.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {path}.", remedy="Give the path of a sync's defs.yaml, or a sync's name.")
    file = DefinitionFile.read(path)
    found = file.component_class()
    if found is not SyncComponent:
        raise ConfigError(f"{path} declares no sync.", remedy="Give the defs.yaml of a SyncComponent.")
    file.validated(found)
    told = SyncComponent.model_validate(file.content["attributes"])
    try:
        return make_spec(
            name=told.name,
            source_model=told.source_model,
            relations={told.source_model: _UNREAD},
            primary_key=told.primary_key,
            account=told.destination,
            mode=told.mode,
            removal=told.removal,
            purpose=NO_PURPOSE,
            consent=None,
            mapping=[entry.model_copy(update={"policy": "overwrite"}) for entry in told.mapping],
            limits=told.limits,
            policy=ConsentPolicy(),
        )
    except ConfigError as error:
        raise file.placed(error) from error
