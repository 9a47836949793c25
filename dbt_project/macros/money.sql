{% macro money(expression) -%}
    {#- Rounded once, at the source: sums of decimals do not depend on the order of rows, sums of floats do. -#}
    cast({{ expression }} as decimal(12, 2))
{%- endmacro %}

{#- One decimal by another, rounded half away from zero on every engine. Some divide in doubles, in which 0.29 / 2 is a
    little less than 0.145: ten digits bring back what it is. -#}
{% macro ratio(numerator, denominator) -%}
    cast({{ numerator }} / {{ denominator }} as {{ type_quotient() }})
{%- endmacro %}

{% macro type_quotient() -%}
    {{ return(adapter.dispatch('type_quotient', 'cdp')()) }}
{%- endmacro %}

{% macro default__type_quotient() -%}
    decimal(38, 10)
{%- endmacro %}

{#- Nine digits, the most that it has; it divides decimals in decimals. -#}
{% macro bigquery__type_quotient() -%}
    numeric
{%- endmacro %}

{% macro is_fuel(department) -%}
    coalesce({{ department }} = 'FUEL', false)
{%- endmacro %}
