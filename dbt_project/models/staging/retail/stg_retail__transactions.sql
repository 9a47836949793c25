with source as (

    select * from {{ source('raw_retail', 'transactions') }}

)

select
    {{ dbt.concat(["cast(basket_id as " ~ dbt.type_string() ~ ")", "'-'", "cast(product_id as " ~ dbt.type_string() ~ ")"]) }}
        as order_line_id,
    basket_id as order_id,
    product_id,
    store_id,
    household_id,
    transaction_day as order_day,
    transaction_timestamp as ordered_at,
    quantity,
    {{ money('sales_value') }} as sales_value,
    {{ money('retail_disc') }} as retail_discount,
    {{ money('coupon_disc') }} as coupon_discount,
    {{ money('coupon_match_disc') }} as coupon_match_discount
from source
