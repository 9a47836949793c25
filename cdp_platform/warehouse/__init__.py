"""The only Python that runs SQL: a protocol, and one file per warehouse."""
