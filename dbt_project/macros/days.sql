{#- Days are dates of the entity's time zone; no macro here takes an instant. -#}

{% macro days_before(day, day_count) -%}
    cast({{ dbt.dateadd('day', -1 * day_count, day) }} as date)
{%- endmacro %}

{% macro days_between(earlier, later) -%}
    {{ dbt.datediff(earlier, later, 'day') }}
{%- endmacro %}

{#- The Monday of a day's week. -#}
{% macro week_of(day) -%}
    {{ return(adapter.dispatch('week_of', 'cdp')(day)) }}
{%- endmacro %}

{% macro default__week_of(day) -%}
    {{ dbt.date_trunc('week', day) }}
{%- endmacro %}

{#- Its weeks begin on Sunday. -#}
{% macro bigquery__week_of(day) -%}
    date_trunc({{ day }}, isoweek)
{%- endmacro %}

{% macro type_instant() -%}
    {{ return(adapter.dispatch('type_instant', 'cdp')()) }}
{%- endmacro %}

{% macro default__type_instant() -%}
    timestamp with time zone
{%- endmacro %}

{% macro snowflake__type_instant() -%}
    timestamp_tz
{%- endmacro %}

{% macro bigquery__type_instant() -%}
    timestamp
{%- endmacro %}

{#- The date that the clocks of a time zone show at an instant. -#}
{% macro local_day(instant, time_zone) -%}
    {{ return(adapter.dispatch('local_day', 'cdp')(instant, time_zone)) }}
{%- endmacro %}

{% macro default__local_day(instant, time_zone) -%}
    cast({{ instant }} at time zone '{{ time_zone }}' as date)
{%- endmacro %}

{% macro snowflake__local_day(instant, time_zone) -%}
    cast(convert_timezone('{{ time_zone }}', {{ instant }}) as date)
{%- endmacro %}

{% macro bigquery__local_day(instant, time_zone) -%}
    date({{ instant }}, '{{ time_zone }}')
{%- endmacro %}
