"""Salesforce's stand-in: accounts, contacts and opportunities of one organization, by REST and by bulk jobs."""
