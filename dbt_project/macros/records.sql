{#- Where records and confirmed addresses come from. -#}
{% macro record_sources() -%}
    {{ return(['retail', 'loyalty', 'support', 'web', 'crm']) }}
{%- endmacro %}

{#- The records of identity: `given` says which expression of a source's relation stands in which column; the others
    are null. The columns stand here only. -#}
{% macro identity_records_of(source, relation, key, given) -%}
    {%- set texts = [
        'customer_number', 'other_customer_number', 'card_number', 'anonymous_id', 'email', 'phone', 'given_name',
        'surname', 'full_name', 'birth_date', 'postcode'
    ] -%}
    {%- for column in given if column not in ['seen_at', 'seen_on'] + texts -%}
        {{ exceptions.raise_compiler_error("Records of identity have no column " ~ column ~ ".") }}
    {%- endfor -%}
    select
        {{ record_key(source, key) }} as record_key,
        '{{ source }}' as source,
        cast({{ given['seen_at'] }} as {{ type_instant() }}) as seen_at,
        {{ given['seen_on'] }} as seen_on,
        {%- for column in texts %}
        cast({{ given.get(column, 'null') }} as {{ dbt.type_string() }}) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}
