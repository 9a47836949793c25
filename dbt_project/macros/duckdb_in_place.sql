{#- DuckDB replaces a table or a view in one statement, whatever hangs on it. dbt's way, a new relation that takes the name
    of the old one, is six, and half of what a day of many small models costs. -#}

{% materialization table, adapter='duckdb' %}
    {%- if not is_replaceable('table') -%}
        {{ return(dbt_duckdb.materialization_table_duckdb()) }}
    {%- endif -%}
    {%- set relation = this.incorporate(type='table') -%}
    {{ return(built_in_place(relation, "create or replace table " ~ relation ~ " as (\n" ~ sql ~ "\n)")) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {%- if not is_replaceable('view') -%}
        {{ return(dbt.materialization_view_default()) }}
    {%- endif -%}
    {%- set relation = this.incorporate(type='view') -%}
    {{ return(built_in_place(relation, "create or replace view " ~ relation ~ " as (\n" ~ sql ~ "\n)")) }}
{% endmaterialization %}

{#- Whether one statement says all of it: nothing of another type has the name, and nothing goes with the model. -#}
{% macro is_replaceable(type) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set is_plain = model['language'] == 'sql' and not config.get('contract').enforced and not config.get('indexes')
        and not config.get('sql_header') and not config.get('partitioned_by') and not config.get('sorted_by') -%}
    {{ return(is_plain and (existing is none or existing.type == type)) }}
{%- endmacro %}
