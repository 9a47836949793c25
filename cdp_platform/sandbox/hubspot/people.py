"""What people do by themselves on a business day: a few unsubscribe, a few change their e-mail address.

Who acts depends on seed, person id and day alone, so that a replay of the same days gives the same feedback.
Acts are caught up with when contacts are read. A contact without a person id never acts.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from cdp_platform.sandbox.hubspot.changes import open_draft
from cdp_platform.sandbox.hubspot.contacts import Contact, ContactStore
from cdp_platform.sandbox.settings import SandboxSettings

_EARLIER_CHANGE = re.compile(r"\.new[0-9a-f]{6}(-\d+)?$")


@dataclass(frozen=True, kw_only=True)
class PeopleRule:
    """Decides who acts on a day, and how."""

    seed: int
    unsubscribe_share: float
    email_change_share: float

    def decide(self, contact: Contact, day: str) -> str | None:
        """Return `unsubscribe`, `change_email` or None for one contact on one day."""
        person_id = contact.properties.get("cdp_person_id")
        if person_id is None or is_opted_out(contact) or contact.opted_out_on == day:
            return None
        chance = int.from_bytes(_digest(self.seed, person_id, day)[:8], "big") / 2**64
        if chance < self.unsubscribe_share:
            return "unsubscribe"
        is_changing = chance < self.unsubscribe_share + self.email_change_share
        return "change_email" if is_changing and contact.properties.get("email") else None

    def new_values(self, contact: Contact, day: str, is_taken: Callable[[str], bool]) -> Mapping[str, str]:
        """Return the properties that one contact's act sets; empty when it does nothing."""
        act = self.decide(contact, day)
        if act == "unsubscribe":
            return {"hs_email_optout": "true"}
        if act == "change_email":
            return {"email": self._new_email(contact, day, is_taken), "email_confirmed_on": day}
        return {}

    def _new_email(self, contact: Contact, day: str, is_taken: Callable[[str], bool]) -> str:
        local = _EARLIER_CHANGE.sub("", contact.properties["email"].partition("@")[0])[:40]
        mark = _digest(self.seed, contact.properties["cdp_person_id"], day)[8:11].hex()
        address, attempt = f"{local}.new{mark}@example.com", 1
        while is_taken(address):
            attempt += 1
            address = f"{local}.new{mark}-{attempt}@example.com"
        return address


def rule_of(settings: SandboxSettings) -> PeopleRule:
    """Return the rule that the settings ask for."""
    return PeopleRule(
        seed=settings.seed,
        unsubscribe_share=settings.unsubscribe_share,
        email_change_share=settings.email_change_share,
    )


def is_opted_out(contact: Contact) -> bool:
    """Say whether the contact has unsubscribed from all e-mail."""
    return contact.properties.get("hs_email_optout") == "true"


def let_people_act(store: ContactStore, rule: PeopleRule) -> int:
    """Catch up with the acts of the present business day and return how many contacts changed."""
    with store.transaction():
        day = store.day
        if day is None:
            return 0
        waiting = store.find("archived_at is null and acted_on < ?", (day,))
        if not waiting:
            return 0
        actors = [contact for contact in waiting if rule.decide(contact, day)]
        changed_count = _act(store, rule, actors, day)
        store.execute("update contacts set acted_on = ? where archived_at is null and acted_on < ?", (day, day))
        return changed_count


def _act(store: ContactStore, rule: PeopleRule, actors: list[Contact], day: str) -> int:
    draft = open_draft(store, {actor.id for actor in actors}, set())

    def is_taken(address: str) -> bool:
        key = ("email", address)
        return key in draft.owners or bool(store.owners([key]))

    for actor in actors:
        draft.change(actor, rule.new_values(actor, day, is_taken), actor="person", operation="update")
    draft.save(store)
    return len(draft.touched)


def turn_clock(store: ContactStore, day: str) -> str:
    """Set the business day, only ever forward, and return the present one. Raises ValueError for what is no day."""
    wanted = date.fromisoformat(day).isoformat()
    with store.transaction():
        if store.day is None or wanted > store.day:
            store.set_account_value("day", wanted)
        return store.day or wanted


def _digest(seed: int, person_id: str, day: str) -> bytes:
    return hashlib.sha256(f"{seed}|{person_id}|{day}".encode()).digest()
