"""What a step of a run is at, for the tags under which a warehouse's statements are paid and looked for."""

import dagster as dg


def at_work() -> dict[str, str]:
    """The `run`, the `asset` (of several, their op's name) and, of plans and destinations, the `sync`.

    Empty outside of a step, and in a thread that was not started with a copy of the step's context.
    """
    try:
        context = dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return {}
    told = {"run": context.run_id, "asset": context.op_def.name}
    if not context.has_assets_def:
        return told
    keys = {*context.selected_asset_keys, *(check.asset_key for check in context.selected_asset_check_keys)}
    if len(keys) == 1:
        [key] = keys
        told["asset"] = key.to_user_string()
        if context.op_def.tags.get("room") == "syncs":
            told["sync"] = key.path[-1]
    return told
