"""The kit that every destination and vendor source shares: protocol, session, pacing, credentials, registry."""
