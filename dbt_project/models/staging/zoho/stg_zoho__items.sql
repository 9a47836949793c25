with source as (

    select * from {{ source_or_empty('raw_zoho', 'items', {
        'stock_on': 'date',
        'item_id': dbt.type_string(),
        'sku': dbt.type_string(),
        'name': dbt.type_string(),
        'category_name': dbt.type_string(),
        'status': dbt.type_string(),
        'rate': dbt.type_numeric(),
        'stock_on_hand': dbt.type_numeric(),
        'available_stock': dbt.type_numeric()
    }) }} as items

)

select
    {{ dbt.concat(["item_id", "'-'", "cast(stock_on as " ~ dbt.type_string() ~ ")"]) }} as item_day_id,
    item_id,
    stock_on,
    nullif(trim(sku), '') as sku,
    name,
    category_name as department,
    {{ money('rate') }} as price,
    cast(stock_on_hand as {{ dbt.type_bigint() }}) as stock_count,
    cast(available_stock as {{ dbt.type_bigint() }}) as available_count,
    status = 'active' as is_active
from source
