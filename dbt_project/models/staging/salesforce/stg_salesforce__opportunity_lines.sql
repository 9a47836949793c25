with source as (

    select * from {{ source_or_empty('raw_salesforce', 'opportunity_lines', {
        'line_id': dbt.type_string(),
        'opportunity_id': dbt.type_string(),
        'product_code': dbt.type_string(),
        'quantity': dbt.type_numeric(),
        'total_price': dbt.type_numeric(),
        'is_deleted': dbt.type_boolean(),
        'modified_at': type_instant(),
        'modified_on': 'date'
    }) }} as opportunity_lines

)

select
    {{ dbt.concat(["line_id", "'-'", "cast(modified_on as " ~ dbt.type_string() ~ ")"]) }} as line_day_id,
    line_id,
    opportunity_id,
    modified_on,
    modified_at,
    product_code as sku,
    cast(quantity as {{ dbt.type_bigint() }}) as quantity,
    {{ money('total_price') }} as total_price,
    is_deleted
from source
