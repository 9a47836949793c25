"""What PostgreSQL lacks, as functions of its own in the schema `cdp_functions`, made once per version of this file.

Some have DuckDB's names, so that the engine's statements find them; the others serve `PostgresDialect`.
"""

from typing import Final

SCHEMA: Final = "cdp_functions"
_SQL = "language sql stable parallel safe"
_QUIET = "language plpgsql stable strict parallel safe"

# Plain text, which is nearly all, has one form only, and PostgreSQL would take each apart to see it.
_NFC: Final = "$$ select case when octet_length($1) = char_length($1) then $1 else normalize($1, NFC) end $$"

# The database's own order, which is by characters, knows lower case of ASCII alone. Plain text, which is nearly all, is
# not sent through the collation. A server without ICU has to do with the system's.
_CASES: Final = """do $do$
    declare collation_name text := (
        select quote_ident(collname) from pg_collation where collname in ('und-x-icu', 'C.utf8', 'C.UTF-8')
        order by collname = 'und-x-icu' desc limit 1);
    begin
        execute format($f$create function lower_of(text) returns text language sql immutable parallel safe as $$
            select case when octet_length($1) = char_length($1) then lower($1) else lower($1 collate %1$s) end $$;
        create function upper_of(text) returns text language sql immutable parallel safe as $$
            select case when octet_length($1) = char_length($1) then upper($1) else upper($1 collate %1$s) end $$$f$,
            coalesce(collation_name, '"default"'));
    end $do$"""

# A view hangs on the very relation that it was made on, whatever its name: where there is one and the columns are the
# same, the old relation stays and takes the content. Else the new one takes the name, unless a view is on the old.
_TAKE_NAME: Final = """create procedure take_name(home text, anew text, old text, kind text)
    language plpgsql as $$
    declare
        old_path text := format('%I.%I', home, old);
        new_path text := format('%I.%I', home, anew);
        is_read boolean := exists (
            select from pg_depend join pg_rewrite on pg_rewrite.oid = pg_depend.objid
            where pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refobjid = to_regclass(old_path)
                and pg_rewrite.ev_class <> pg_depend.refobjid);
        shapes text[] := array(
            select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ',' order by attnum)
            from pg_attribute where attrelid in (to_regclass(old_path), to_regclass(new_path))
                and attnum > 0 and not attisdropped group by attrelid);
    begin
        if not is_read or shapes[1] is distinct from shapes[2] then
            execute format('drop %s if exists %s', kind, old_path);
            execute format('alter %s %s rename to %I', kind, new_path, old);
            return;
        end if;
        if kind = 'VIEW' then
            execute format('create or replace view %s as %s', old_path, pg_get_viewdef(to_regclass(new_path)));
        else
            execute format('truncate table %s', old_path);
            execute format('insert into %s select * from %s', old_path, new_path);
        end if;
        execute format('drop %s %s', kind, new_path);
    end $$"""

FUNCTIONS: Final = (
    _CASES,
    _TAKE_NAME,
    f"create function nfc_normalize(text) returns text {_SQL} as {_NFC}",
    f"""create function md5_number_lower(text) returns bigint {_SQL} as $$
        select ('x' || right(md5($1), 16))::bit(64)::bigint $$""",
    f"create function split(text, text) returns text[] {_SQL} as $$ select string_to_array($1, $2) $$",
    f"create function array_sort(text[]) returns text[] {_SQL} as $$ select array(select unnest($1) order by 1) $$",
    f"create function nfc(text) returns text {_SQL} as {_NFC}",
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
    # PostgreSQL 17 keeps the name `json_value` for itself.
    f"create function json_of(text) returns text {_SQL} as $$ select coalesce(to_json($1)::text, 'null') $$",
    f"create function json_of(numeric) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
    f"create function json_of(boolean) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
    f"create function json_of(json) returns text {_SQL} as $$ select coalesce($1::text, 'null') $$",
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
    f"create function contains(text, text) returns boolean {_SQL} as $$ select strpos($1, $2) > 0 $$",
    f"create function strlen(text) returns integer {_SQL} as $$ select octet_length($1) $$",
    f"""create function to_minutes(bigint) returns interval {_SQL} as $$
        select make_interval(mins => $1::integer) $$""",
    f"create function first_of(anyelement, anyelement) returns anyelement {_SQL} strict as $$ select $1 $$",
    "create aggregate any_value(anyelement) (sfunc = first_of, stype = anyelement)",
)
