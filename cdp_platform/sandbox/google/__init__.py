"""The stand-in for Google's Data Manager API: user lists by hashes, and requests that are processed as jobs."""
