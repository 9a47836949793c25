"""A transaction of the platform's on BigQuery: one script, run at its end.

BigQuery's transactions live within one script, or within a session of its own that outlives a killed process by a day
and holds the tables that long. So what a block writes to tables that stay is collected, and run at its end as
`begin transaction; …; commit transaction;`, which BigQuery does whole or not at all, whatever becomes of the process:

- killed before the script is sent, nothing has changed;
- killed after, the script ends by itself. Whether it did is told by what it wrote: the settle id in the ledger's header
  is in the same script as the rows.

What a block reads is read at once where it has not written to it. Where it has, the query runs in a script with
everything that was collected, which is not committed. Tables are read as they were when the block first read one
(`bigquery_moments`); a script reads them as they are when it begins. Tables that stay cannot be made or dropped in a
transaction: they are made at once, and dropped after it.
"""

from dataclasses import dataclass, field


@dataclass
class Block:
    """What an open transaction has collected."""

    statements: list[str] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    """The tables that the statements write or make."""
    used: set[str] = field(default_factory=set)
    """The tables that the statements read."""
    afterwards: list[str] = field(default_factory=list)

    def add(self, statement: str, *, writes: str, reads: frozenset[str]) -> None:
        """Keep a statement for the end."""
        self.statements.append(statement)
        self.dirty.add(writes)
        self.used |= reads

    def asking(self, query: str) -> str:
        """A script that answers a query as the transaction would, and changes nothing: it ends without a commit."""
        return ";\n".join(["begin transaction", *self.statements, query])

    def script(self) -> str:
        """The statements as one; a single one is whole or not at all by itself."""
        if len(self.statements) == 1:
            return self.statements[0]
        return ";\n".join(["begin transaction", *self.statements, "commit transaction"])
