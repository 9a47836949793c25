with transactions as (

    select * from {{ ref('stg_retail__transactions') }}

),

products as (

    select * from {{ ref('stg_retail__products') }}

)

select
    transactions.order_line_id,
    transactions.order_id,
    {{ customer_number('transactions.household_id') }} as customer_number,
    transactions.product_id,
    transactions.store_id,
    coalesce(products.department, 'UNKNOWN') as department,
    transactions.order_day,
    transactions.ordered_at,
    transactions.quantity,
    transactions.sales_value,
    {{ money('transactions.retail_discount + transactions.coupon_match_discount') }} as store_discount,
    transactions.coupon_discount,
    coalesce(products.is_fuel, false) as is_fuel,
    transactions.sales_value <= 0 as is_without_value
from transactions
left join products on transactions.product_id = products.product_id
