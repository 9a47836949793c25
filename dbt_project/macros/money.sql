{% macro money(expression) -%}
    {#- Rounded once, at the source: sums of decimals do not depend on the order of rows, sums of floats do. -#}
    cast({{ expression }} as {{ 'numeric' if target.type == 'bigquery' else 'decimal(12, 2)' }})
{%- endmacro %}

{% macro is_fuel(department) -%}
    coalesce({{ department }} = 'FUEL', false)
{%- endmacro %}
