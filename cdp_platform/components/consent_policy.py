"""The consent policy: for each brand and market, by channel, whose word is needed before somebody is contacted.

One file holds it for the whole instance. Syncs and audiences read it where they are loaded; without such a file
everything is opt-in.
"""

from pathlib import Path
from typing import Final, Literal

import dagster as dg
from pydantic import Field

from cdp_platform.components.definition_file import DefinitionFile
from cdp_platform.components.one_look import once
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.permission import ConsentPolicy, ConsentRule
from cdp_platform.errors import ConfigError

_TYPE: Final = "ConsentPolicyComponent"


class ConsentPolicyComponent(dg.Component, dg.Model, dg.Resolvable):
    """Say for each entity and channel who may be contacted."""

    rules: dict[str, dict[str, Literal["opt_in", "double_opt_in", "opt_out"]]] = Field(
        min_length=1,
        description="Entity → channel → `opt_in` (who said yes), `double_opt_in` (and confirmed it) or `opt_out`"
        " (everybody but who said no).",
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make nothing: the policy is read by those that obey it. Raises ConfigError where another file has one."""
        read_policy(context.defs_module_path)
        return dg.Definitions()

    def policy(self) -> ConsentPolicy:
        """The policy as the platform reads it."""
        told = {entity: {name: ConsentRule(rule) for name, rule in one.items()} for entity, one in self.rules.items()}
        return ConsentPolicy(rules=told)


def read_policy(folder: Path) -> ConsentPolicy:
    """Read the policy that a `defs.yaml` under `folder` declares; raise ConfigError for a wrong or a second one."""
    return once(("policy", folder), lambda: _read_policy(folder))


def _read_policy(folder: Path) -> ConsentPolicy:
    found = [file for path in sorted(folder.rglob("defs.yaml")) if (file := _policy_file(path))]
    if len(found) > 1:
        raise ConfigError(
            f"the consent policy stands in {found[0].path} already.",
            place=f"{found[1].path}:1",
            remedy="Put all rules into one of the two files.",
        )
    if not found:
        return ConsentPolicy()
    [file] = found
    return ConsentPolicyComponent.model_validate(file.validated(ConsentPolicyComponent).model_dump()).policy()


def require_named(policy: ConsentPolicy, entity: str, channel: str, *, field: str) -> None:
    """Raise ConfigError where there is a policy and it does not name this entity, or no rule for it on this channel."""
    if policy.rules and entity not in policy.rules:
        raise ConfigError(
            f"the consent policy has no rules for the entity {entity!r}.",
            remedy=nearest_of(entity, policy.rules),
            field=field,
        )
    if policy.rules and channel not in policy.rules[entity]:
        raise ConfigError(
            f"the consent policy has no rule for {entity!r} on the channel {channel!r}.",
            remedy=f"Add one; it has: {', '.join(policy.rules[entity])}.",
            field=field,
        )


def _policy_file(path: Path) -> DefinitionFile | None:
    if _TYPE not in path.read_text(encoding="utf-8"):
        return None
    file = DefinitionFile.read(path)
    return file if str(file.content.get("type", "")).endswith(f".{_TYPE}") else None
