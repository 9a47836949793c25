{#- What dbt's adapter for BigQuery lets no model choose: facts by day go the way of replace_days, as one transaction. -#}

{% macro dbt_bigquery_validate_get_incremental_strategy(config) -%}
    {%- set strategy = config.require('incremental_strategy') -%}
    {%- if strategy != 'replace_days' -%}
        {{ exceptions.raise_compiler_error("On BigQuery models are incremental by replace_days, not by " ~ strategy ~ ".") }}
    {%- endif -%}
    {{ return(strategy) }}
{%- endmacro %}

{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns, tmp_relation_exists,
    copy_partitions, incremental_predicates
) -%}
    {%- if not tmp_relation_exists -%}
        {{ exceptions.raise_compiler_error(this ~ ": replace_days needs on_schema_change other than ignore.") }}
    {%- endif -%}
    {{ return(
        "begin transaction;"
        ~ get_incremental_replace_days_sql(
            {'target_relation': target_relation, 'temp_relation': tmp_relation, 'dest_columns': dest_columns}
        )
        ~ "commit transaction;"
    ) }}
{%- endmacro %}

{#- Seeds say their columns' types in words of SQL, and BigQuery has one word for texts. -#}
{% macro bigquery__load_csv_rows(model, agate_table) -%}
    {%- set types = {} -%}
    {%- for column, type in model['config'].get('column_types', {}).items() -%}
        {%- do types.update({column: 'string' if type | lower == 'varchar' else type}) -%}
    {%- endfor -%}
    {{ adapter.load_dataframe(
        model['database'], model['schema'], model['alias'], agate_table, types, model['config']['delimiter']
    ) }}
{%- endmacro %}
