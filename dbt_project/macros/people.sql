{% macro person_id(household_id) -%}
    {{ dbt.concat(["'p-'", "lpad(cast(" ~ household_id ~ " as " ~ dbt.type_string() ~ "), 7, '0')"]) }}
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

{% macro snowflake__hash_number(text) -%}
    to_number(substr(md5({{ text }}), 1, 8), 'XXXXXXXX')
{%- endmacro %}

{% macro bigquery__hash_number(text) -%}
    cast(concat('0x', substr(to_hex(md5({{ text }})), 1, 8)) as int64)
{%- endmacro %}
