"""What PostgreSQL lacks, as functions of its own in the schema `cdp_functions`, made once per version of this file.

Some have DuckDB's names, so that the engine's statements find them; the others serve `PostgresDialect`.
"""

from typing import Final

SCHEMA: Final = "cdp_functions"
_SQL = "language sql stable parallel safe"
_QUIET = "language plpgsql stable strict parallel safe"

FUNCTIONS: Final = (
    f"create function nfc(text) returns text {_SQL} as $$ select normalize($1, NFC) $$",
    # A number as a text; more digits than this no type of ours holds, and PostgreSQL would count with all of them.
    f"""create function number_of(text) returns numeric {_SQL} as $$
        select case when length($1) < 400 and $1 ~ '^\\s*[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d{{1,3}})?\\s*$'
            then $1::numeric end $$""",
    f"""create function fitting(numeric, integer, integer) returns numeric {_SQL} as $$
        select case when abs(round($1, $3)) < power(10::numeric, $2 - $3) then round($1, $3) end $$""",
    f"""create function truth_of(text) returns boolean {_SQL} as $$
        select case when lower(trim($1)) in ('true', 't', '1', 'yes', 'y') then true
            when lower(trim($1)) in ('false', 'f', '0', 'no', 'n') then false end $$""",
    f"""create function day_of(text) returns date {_QUIET} as $$
        begin
            return case when $1 ~ '^\\s*\\d{{4,}}-\\d{{1,2}}-\\d{{1,2}}' then $1::date end;
        exception when data_exception then return null; end $$""",
    f"""create function moment_of(text) returns timestamp {_QUIET} as $$
        begin
            return case when $1 ~ '^\\s*\\d{{4,}}-\\d{{1,2}}-\\d{{1,2}}'
                then $1::timestamptz at time zone 'UTC' end;
        exception when data_exception then return null; end $$""",
    f"""create function day_text(date) returns text {_SQL} as $$ select to_char($1, 'YYYY-MM-DD') $$""",
    f"""create function moment_text(timestamp) returns text {_SQL} as $$
        select to_char($1, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$""",
    f"create function json_value(text) returns text {_SQL} as $$ select coalesce(to_json($1)::text, 'null') $$",
    f"create function json_value(numeric) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
    f"create function json_value(boolean) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
    f"create function json_value(json) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
    f"create function json_member(text, text) returns json {_SQL} as $$ select $1::json -> $2 $$",
    f"create function json_text(text, text) returns text {_SQL} as $$ select $1::json ->> $2 $$",
    f"""create function json_changes(text, text, text[]) returns text[] {_SQL} as $$
        select coalesce(array_agg(member.name order by member.place), '{{}}')
        from (select $1::jsonb as new, $2::jsonb as old) as documents,
            unnest($3) with ordinality as member(name, place)
        where documents.new -> member.name is not null
            and documents.new -> member.name is distinct from documents.old -> member.name $$""",
    # Of flat documents: what the patch sets to null is taken away.
    f"""create function json_merge_patch(text, text) returns text {_SQL} as $$
        select '{{' || coalesce(string_agg(to_json(name)::text || ':' || value::text, ',' order by place), '') || '}}'
        from (
            select coalesce(old.key, new.key) as name, coalesce(new.value, old.value) as value,
                coalesce(old.place, 1000000 + new.place) as place
            from json_each($1::json) with ordinality as old(key, value, place)
            full join json_each($2::json) with ordinality as new(key, value, place) on new.key = old.key
        ) as merged
        where json_typeof(value) <> 'null' $$""",
    f"""create function from_json(text, text) returns text[] {_SQL} as $$
        select case when $1 is not null then array(select json_array_elements_text($1::json)) end $$""",
    f"create function list_position(text[], text) returns integer {_SQL} as $$ select array_position($1, $2) $$",
    f"""create function list_has_all(text[], text[]) returns boolean {_SQL} as $$ select $1 @> $2 $$""",
    f"create function length(text[]) returns integer {_SQL} as $$ select cardinality($1) $$",
    f"create function strlen(text) returns integer {_SQL} as $$ select octet_length($1) $$",
    f"""create function to_minutes(bigint) returns interval {_SQL} as $$
        select make_interval(mins => $1::integer) $$""",
    f"create function first_of(anyelement, anyelement) returns anyelement {_SQL} strict as $$ select $1 $$",
    "create aggregate any_value(anyelement) (sfunc = first_of, stype = anyelement)",
)
