"""The stand-in for Meta's Graph API: custom audiences, conversions, and what campaigns did, all by hashes only."""
