{#- What was read from HubSpot: campaigns, deals and line items are one table, told apart by `kind`. -#}
{% macro hubspot_records() -%}
    {{ source_or_empty('raw_hubspot', 'records', {
        'kind': dbt.type_string(),
        'record_id': dbt.type_string(),
        'name': dbt.type_string(),
        'status': dbt.type_string(),
        'code': dbt.type_string(),
        'starts_on': 'date',
        'ends_on': 'date',
        'budget': dbt.type_numeric(),
        'spend': dbt.type_numeric(),
        'amount': dbt.type_numeric(),
        'sku': dbt.type_string(),
        'quantity': dbt.type_numeric(),
        'deal_id': dbt.type_string(),
        'is_archived': dbt.type_boolean(),
        'modified_at': type_instant(),
        'modified_on': 'date'
    }) }}
{%- endmacro %}
