"""The vendors' own SDKs judge the sandbox: what they are told must be what our destination brought about."""
