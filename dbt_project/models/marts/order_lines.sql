{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    event_time='order_day',
    on_schema_change='fail'
) }}

with priced as (

    select * from {{ ref('int_order_lines__priced') }}

)

select
    order_line_id,
    order_id,
    customer_number,
    product_id,
    store_id,
    department,
    order_day,
    ordered_at,
    quantity,
    sales_value,
    store_discount,
    coupon_discount,
    is_fuel,
    is_without_value
from priced
where {{ is_in_invocation_days('order_day') }}
