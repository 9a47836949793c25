{#- A source that the platform itself writes: its names are lower case everywhere. Where SQL without quotes means others
    they are read under those. -#}
{% macro platform_source(source_name, table_name) -%}
    {{ return(platform_relation(source(source_name, table_name))) }}
{%- endmacro %}

{% macro platform_relation(relation) -%}
    {{ return(adapter.dispatch('platform_relation', 'cdp')(relation)) }}
{%- endmacro %}

{% macro default__platform_relation(relation) -%}
    {{ return(relation) }}
{%- endmacro %}

{% macro snowflake__platform_relation(relation) -%}
    {%- set quoted = relation.quote(schema=true, identifier=true) -%}
    {%- if not execute -%}
        {{ return(quoted) }}
    {%- endif -%}
    {%- set columns = adapter.get_columns_in_relation(quoted) | map(attribute='name') -%}
    (select {% for name in columns %}"{{ name }}" as {{ name }}{{ ", " if not loop.last }}{% endfor %} from {{ quoted }})
{%- endmacro %}

{% macro platform_is_there(relation) -%}
    {{ return(adapter.dispatch('platform_is_there', 'cdp')(relation)) }}
{%- endmacro %}

{% macro default__platform_is_there(relation) -%}
    {{ return(load_relation(relation) is not none) }}
{%- endmacro %}

{#- dbt's own look would be for a name in upper case. -#}
{% macro snowflake__platform_is_there(relation) -%}
    {%- set found = run_query(
        "select count(*) from " ~ relation.include(schema=false, identifier=false) ~ ".information_schema.tables where table_schema = '" ~ relation.schema
        ~ "' and table_name = '" ~ relation.identifier ~ "'"
    ) -%}
    {{ return(found.rows[0][0] > 0) }}
{%- endmacro %}

{#- The source, or where it does not exist yet an empty selection with the same columns.
    For what a vendor tells only: before the first reading nothing has come back, and that is no error. -#}
{% macro source_or_empty(source_name, table_name, columns, is_platforms=false) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if execute and is_platforms and platform_is_there(relation) -%}
        {{ platform_relation(relation) }}
    {%- elif execute and not is_platforms and load_relation(relation) is not none -%}
        {{ relation }}
    {%- else -%}
        (
            select
            {%- for name, data_type in columns.items() %}
                cast(null as {{ data_type }}) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
            where 1 = 0
        )
    {%- endif -%}
{%- endmacro %}

{#- The clock's table; stops the build where it does not hold exactly one day, because people described as of no
    day would be no people, and that would look like everybody leaving. -#}
{% macro clock_source() -%}
    {%- set relation = source('cdp', 'loop_clock') -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'test'] -%}
        {%- set way_out = " Materialize the asset raw/loop/clock first." -%}
        {%- if not platform_is_there(relation) -%}
            {{ exceptions.raise_compiler_error("The clock of the loop has no table " ~ relation ~ "." ~ way_out) }}
        {%- endif -%}
        {%- set day_count = run_query("select count(as_of_on) as day_count from " ~ platform_relation(relation)).rows[0][0] -%}
        {%- if day_count != 1 -%}
            {{ exceptions.raise_compiler_error(
                "The clock of the loop, " ~ relation ~ ", holds " ~ day_count ~ " days instead of one." ~ way_out
            ) }}
        {%- endif -%}
    {%- endif -%}
    {{ platform_relation(relation) }}
{%- endmacro %}
