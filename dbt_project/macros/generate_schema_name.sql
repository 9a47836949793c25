{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- The layer's name is the schema's name, without dbt's prefix. -#}
    {{- (custom_schema_name or target.schema) | trim -}}
{%- endmacro %}
