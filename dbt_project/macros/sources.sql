{#- The source, or where it does not exist yet an empty selection with the same columns.
    For what a vendor tells only: before the first reading nothing has come back, and that is no error. -#}
{% macro source_or_empty(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set is_there = execute and load_relation(relation) is not none -%}
    {%- if is_there -%}
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
        {%- if load_relation(relation) is none -%}
            {{ exceptions.raise_compiler_error("The clock of the loop has no table " ~ relation ~ "." ~ way_out) }}
        {%- endif -%}
        {%- set day_count = run_query("select count(as_of_on) as day_count from " ~ relation).rows[0][0] -%}
        {%- if day_count != 1 -%}
            {{ exceptions.raise_compiler_error(
                "The clock of the loop, " ~ relation ~ ", holds " ~ day_count ~ " days instead of one." ~ way_out
            ) }}
        {%- endif -%}
    {%- endif -%}
    {{ relation }}
{%- endmacro %}
