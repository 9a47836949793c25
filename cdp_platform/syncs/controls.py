"""What people decide about syncs, kept beside the journal: switches, pauses, approvals; and which accounts were met."""

from dataclasses import dataclass

from cdp_platform.syncs.journal import Journal, now
from cdp_platform.texts.catalogue import text

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A pause of one sync, one connection, or everything (`scope` is sync, connection or all)."""

    scope: str
    name: str
    paused_by: str
    paused_at: str


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One person's word for one plan, good once. `used_by_run` is None until a send has taken it."""

    digest: str
    approved_by: str
    approved_at: str
    used_by_run: str | None


def is_enabled(journal: Journal, sync: str) -> bool:
    """Whether the sync was switched on; a new sync is off."""
    with journal.transaction() as connection:
        row = connection.execute("select is_enabled from switches where sync = ?", [sync]).fetchone()
    return bool(row and row[0])


def switch(journal: Journal, sync: str, *, is_enabled: bool) -> None:
    """Switch a sync on or off; a switched-off sync plans without asking the destination and sends nothing."""
    with journal.transaction() as connection:
        connection.execute(
            "insert into switches values (?, ?, ?) on conflict (sync) do update"
            " set is_enabled = excluded.is_enabled, changed_at = excluded.changed_at",
            [sync, int(is_enabled), now()],
        )


def pause(journal: Journal, scope: str, name: str, *, paused_by: str) -> None:
    """Pause a sync, a connection or everything; a send that is under way stops after its requests in flight."""
    with journal.transaction() as connection:
        connection.execute(
            "insert into pauses values (?, ?, ?, ?) on conflict do nothing", [scope, name, paused_by, now()]
        )


def resume(journal: Journal, scope: str, name: str) -> bool:
    """Lift a pause; whether there was one."""
    with journal.transaction() as connection:
        gone = connection.execute("delete from pauses where scope = ? and name = ?", [scope, name])
        return gone.rowcount > 0


def pauses(journal: Journal) -> list[Pause]:
    """All pauses that hold."""
    with journal.transaction() as connection:
        rows = connection.execute("select scope, name, paused_by, paused_at from pauses order by scope, name")
        return [Pause(scope=row[0], name=row[1], paused_by=row[2], paused_at=row[3]) for row in rows]


def pause_of(journal: Journal, sync: str, connection_name: str) -> Pause | None:
    """The pause that holds a sync back, if any."""
    for held in pauses(journal):
        if held.scope == ALL or (held.scope, held.name) in (("sync", sync), ("connection", connection_name)):
            return held
    return None


def approve(journal: Journal, sync: str, digest: str, *, approved_by: str) -> None:
    """Log that a person approves one plan."""
    with journal.transaction() as connection:
        connection.execute(
            "insert into approvals (sync, digest, approved_by, approved_at) values (?, ?, ?, ?)",
            [sync, digest, approved_by, now()],
        )


def approvals(journal: Journal, sync: str) -> list[Approval]:
    """Every approval of the sync's plans, used ones included, newest first."""
    with journal.transaction() as connection:
        rows = connection.execute(
            "select digest, approved_by, approved_at, used_by_run from approvals where sync = ? order by number desc",
            [sync],
        ).fetchall()
    return [Approval(digest=row[0], approved_by=row[1], approved_at=row[2], used_by_run=row[3]) for row in rows]


def waiting_approval(journal: Journal, sync: str, digest: str) -> Approval | None:
    """The approval of this plan that no send has taken yet, if any."""
    given = approvals(journal, sync)
    return next((one for one in given if one.digest == digest and one.used_by_run is None), None)


def use_approval(journal: Journal, sync: str, digest: str, run_id: str) -> bool:
    """Take an unused approval of this plan for a run; False where there is none."""
    with journal.transaction() as connection:
        used = connection.execute(
            "update approvals set used_by_run = ?, used_at = ? where number = (select min(number) from approvals"
            " where sync = ? and digest = ? and used_by_run is null)",
            [run_id, now(), sync, digest],
        )
        return used.rowcount > 0


def pause_text(held: Pause, language: str) -> str:
    """Say who paused what, and since when."""
    return text(f"pause.{held.scope}", language, name=held.name, who=held.paused_by, at=_minute(held.paused_at))


def approval_text(given: Approval, language: str) -> str:
    """Say who approved a plan, and when."""
    return text("approval.given", language, who=given.approved_by, at=_minute(given.approved_at))


def _minute(at: str) -> str:
    return at[:16].replace("T", " ")


def known_account(journal: Journal, connection_name: str) -> str | None:
    """The account that a connection led to when it was last asked."""
    with journal.transaction() as connection:
        row = connection.execute("select account_id from accounts where connection = ?", [connection_name]).fetchone()
    return row[0] if row else None


def remember_account(journal: Journal, connection_name: str, account_id: str) -> None:
    """Keep the account that a connection leads to."""
    with journal.transaction() as connection:
        connection.execute(
            "insert into accounts values (?, ?, ?) on conflict (connection) do update"
            " set account_id = excluded.account_id, asked_at = excluded.asked_at",
            [connection_name, account_id, now()],
        )
