{{ config(
    materialized='incremental',
    incremental_strategy='replace_days',
    event_time='order_day',
    on_schema_change='fail'
) }}

with order_lines as (

    select * from {{ ref('order_lines') }}
    where {{ is_in_invocation_days('order_day') }}

)

select
    order_id,
    customer_number,
    store_id,
    order_day,
    min(ordered_at) as ordered_at,
    count(*) as line_count,
    {{ money('sum(sales_value)') }} as order_value,
    {{ money('sum(case when is_fuel then 0 else sales_value end)') }} as merchandise_value,
    {{ money('sum(store_discount)') }} as store_discount,
    {{ money('sum(coupon_discount)') }} as coupon_discount,
    sum(sales_value) > 0 as is_purchase
from order_lines
group by order_id, customer_number, store_id, order_day
