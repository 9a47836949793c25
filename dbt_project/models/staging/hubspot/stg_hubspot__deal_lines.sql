with source as (

    select * from {{ hubspot_records() }} as records

)

select
    {{ dbt.concat(["record_id", "'-'", "cast(modified_on as " ~ dbt.type_string() ~ ")"]) }} as line_day_id,
    record_id as line_id,
    deal_id,
    modified_on,
    modified_at,
    nullif(trim(sku), '') as sku,
    cast(quantity as {{ dbt.type_bigint() }}) as quantity,
    {{ money('amount') }} as amount,
    is_archived
from source
where kind = 'line_item'
