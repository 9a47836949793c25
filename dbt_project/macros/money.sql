{% macro money(expression) -%}
    {#- Rounded once, at the source: sums of decimals do not depend on the order of rows, sums of floats do. -#}
    cast({{ expression }} as {{ 'numeric' if target.type == 'bigquery' else 'decimal(12, 2)' }})
{%- endmacro %}

{#- One decimal by another, rounded half away from zero on every engine. Some divide in doubles, in which 0.29 / 2 is a
    little less than 0.145: ten digits bring back what it is. -#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} / {{ denominator }} as {{ 'bignumeric' if target.type == 'bigquery' else 'decimal(38, 10)' }})
{%- endmacro %}

{% macro is_fuel(department) -%}
    coalesce({{ department }} = 'FUEL', false)
{%- endmacro %}
