"""The functions that the platform's statements may call, by engine, and what is asked for and said nowhere yet.

BigQuery's and Snowflake's are in the vendors' reference, each by its name; a test asks a server for PostgreSQL's.
"""

import re
from typing import Final

from cdp_platform.warehouse.postgres_functions import FUNCTIONS

_GRAMMAR = "cast coalesce nullif exists greatest least trim decimal numeric try_cast"
_POSTGRES = """array_to_string chr concat count current_database hashtextextended isfinite length max md5 min position
    power quote_nullable regexp_replace replace right round row_number starts_with substring sum to_json translate"""
_SNOWFLAKE = """array_compact array_construct array_sort array_to_string charindex chr concat contains count
    current_database current_timestamp dateadd datediff get greatest_ignore_nulls hash iff least_ignore_nulls
    length lower max md5 md5_number_lower64 min octet_length parse_json power regexp_like regexp_replace replace
    right round row_number split startswith substring sum to_json to_variant translate try_to_decimal upper"""
_BIGQUERY = """array array_concat array_length array_to_string byte_length chr concat count countif current_timestamp
    date_diff ends_with farm_fingerprint format if instr length lower max md5 min normalize power regexp_contains
    regexp_extract regexp_extract_all regexp_replace replace right round row_number safe_cast split starts_with
    struct substring sum to_hex to_json to_json_string translate unnest upper"""

GRAMMAR: Final = frozenset(_GRAMMAR.split())
"""Forms of the language that look like calls."""
OWN_OF_POSTGRES: Final = frozenset(re.findall(r"create (?:function|procedure|aggregate) (\w+)\(", " ".join(FUNCTIONS)))
"""What the platform makes in PostgreSQL itself."""
OF_POSTGRES: Final = frozenset(_POSTGRES.split())
KNOWN: Final = {
    "duckdb": GRAMMAR,
    "postgres": GRAMMAR | OWN_OF_POSTGRES | OF_POSTGRES,
    "snowflake": GRAMMAR | frozenset(_SNOWFLAKE.split()),
    "bigquery": GRAMMAR | frozenset(_BIGQUERY.split()),
}
UNSAYABLE: Final = {
    "snowflake": frozenset[str](),
}
"""What identity and audiences ask for and the engine's adapter does not say yet."""
