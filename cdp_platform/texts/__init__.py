"""The catalogue of texts: every sentence a person reads, by code and language."""

from cdp_platform.texts.catalogue import LANGUAGES, has_text, rejected_text, skipped_text, text, verdict_text

__all__ = ["LANGUAGES", "has_text", "rejected_text", "skipped_text", "text", "verdict_text"]
