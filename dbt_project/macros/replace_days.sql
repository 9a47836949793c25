{#- Facts by day: the days of one invocation, from `--event-time-start` (inclusive) to `--event-time-end` (exclusive),
    are deleted and inserted in one transaction. Why not microbatch: docs/decisions/0002-facts-by-day.md. -#}

{#- (first day, day after the last) as 'YYYY-MM-DD', or none: all days. -#}
{% macro invocation_days() -%}
    {%- set start = invocation_args_dict.get('event_time_start') -%}
    {%- set end = invocation_args_dict.get('event_time_end') -%}
    {%- if start and end -%}
        {{ return(((start | string)[:10], (end | string)[:10])) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}

{% macro is_in_invocation_days(day) -%}
    {%- set days = invocation_days() -%}
    {%- if days is none -%}
        true
    {%- else -%}
        {{ day }} >= cast('{{ days[0] }}' as date) and {{ day }} < cast('{{ days[1] }}' as date)
    {%- endif -%}
{%- endmacro %}

{#- With a unique_key, rows of other days that a new row takes the place of go as well. -#}
{% macro get_incremental_replace_days_sql(arguments) -%}
    {%- set condition = is_in_invocation_days(config.require('event_time')) -%}
    {%- set key = config.get('unique_key') -%}
    {%- if key -%}
        {%- set condition = condition ~ " or " ~ key ~ " in (select " ~ key ~ " from " ~ arguments.temp_relation ~ ")" -%}
    {%- endif -%}
    {%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) -%}
    {%- set statements -%}
        delete from {{ arguments.target_relation }} where {{ condition }};
        insert into {{ arguments.target_relation }} ({{ columns }})
        select {{ columns }} from {{ arguments.temp_relation }};
    {%- endset -%}
    {{ adapter.dispatch('in_one_transaction', 'cdp')(statements) }}
{%- endmacro %}

{#- dbt opens a transaction before, and commits it after; where it does not, the statements say so themselves. -#}
{% macro default__in_one_transaction(statements) -%}
    {{ statements }}
{%- endmacro %}

{% macro snowflake__in_one_transaction(statements) -%}
    begin;
    {{ statements }}
    commit;
{%- endmacro %}
