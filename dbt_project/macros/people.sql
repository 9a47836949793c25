{#- The retailer's number of a household is its number as a customer, as text; who that is, identity says. -#}
{% macro customer_number(household_id) -%}
    cast({{ household_id }} as {{ dbt.type_string() }})
{%- endmacro %}

{#- How records of a source are called in identity. -#}
{% macro record_key(source, key) -%}
    {{ dbt.concat(["'" ~ source ~ ":'", key]) }}
{%- endmacro %}

{% macro normalised_email(email) -%}
    nullif(lower(trim({{ email }})), '')
{%- endmacro %}

{#- A number from 0 to bucket_count - 1 that depends on the value and the salt only, on every engine the same. -#}
{% macro bucket(value, salt, bucket_count) -%}
    mod({{ adapter.dispatch('hash_number', 'cdp')(dbt.concat(["'" ~ salt ~ ":'", "cast(" ~ value ~ " as " ~ dbt.type_string() ~ ")"])) }}, {{ bucket_count }})
{%- endmacro %}

{% macro default__hash_number(text) -%}
    cast(concat('0x', substr(md5({{ text }}), 1, 8)) as bigint)
{%- endmacro %}

{% macro postgres__hash_number(text) -%}
    cast(cast('x' || substr(md5({{ text }}), 1, 8) as bit(32)) as bigint)
{%- endmacro %}

{% macro snowflake__hash_number(text) -%}
    to_number(substr(md5({{ text }}), 1, 8), 'XXXXXXXX')
{%- endmacro %}

{% macro bigquery__hash_number(text) -%}
    cast(concat('0x', substr(to_hex(md5({{ text }})), 1, 8)) as int64)
{%- endmacro %}
