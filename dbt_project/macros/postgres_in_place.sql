{#- On PostgreSQL a view hangs on the very table that it was made on: dbt's way to build, a new relation that takes the
    name of the old one, would drop the views of models that are not built now. So what keeps its columns is filled
    anew in place; what changes them goes dbt's way, and then all models are to be built. -#}

{% materialization table, adapter='postgres' %}
    {%- set relation = this.incorporate(type='table') -%}
    {%- if not keeps_columns(load_cached_relation(this), 'table', sql) -%}
        {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}
    {%- set columns = get_quoted_csv(adapter.get_columns_in_relation(relation) | map(attribute='name')) -%}
    {%- set filled -%}
        truncate table {{ relation }};
        insert into {{ relation }} ({{ columns }}) select {{ columns }} from ({{ sql }}) as anew;
        analyze {{ relation }};
    {%- endset -%}
    {{ return(built_in_place(relation, filled)) }}
{% endmaterialization %}

{% materialization view, adapter='postgres' %}
    {%- set relation = this.incorporate(type='view') -%}
    {%- if not keeps_columns(load_cached_relation(this), 'view', sql) -%}
        {{ return(dbt.materialization_view_default()) }}
    {%- endif -%}
    {{ return(built_in_place(relation, get_replace_view_sql(relation, sql))) }}
{% endmaterialization %}

{% macro built_in_place(relation, statements) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- call statement('main') -%}
        {{ statements }}
    {%- endcall -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do apply_grants(relation, config.get('grants'), should_revoke=True) -%}
    {%- do persist_docs(relation, model) -%}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{%- endmacro %}

{#- Whether a relation is there, of this type, with the columns that the query has, by name, type and place. -#}
{% macro keeps_columns(relation, type, query) -%}
    {%- if relation is none or relation.type != type or should_full_refresh() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set shape = make_temp_relation(relation) -%}
    {%- do run_query("create temporary table " ~ shape ~ " as (" ~ query ~ ") with no data") -%}
    {%- set new = adapter.get_columns_in_relation(shape) -%}
    {%- set old = adapter.get_columns_in_relation(relation) -%}
    {%- do run_query("drop table " ~ shape) -%}
    {{ return(described_columns(new) == described_columns(old)) }}
{%- endmacro %}

{% macro described_columns(columns) -%}
    {%- for column in columns %}{{ column.quoted }} {{ column.data_type }}, {% endfor -%}
{%- endmacro %}

{#- Where dbt makes a table's indexes the planner learns what is in it, too: a temporary notion of it is not enough for
    joins of a year. -#}
{% macro postgres__create_indexes(relation) -%}
    {%- do default__create_indexes(relation) -%}
    {%- do run_query("analyze " ~ relation) -%}
{%- endmacro %}
