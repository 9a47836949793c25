with performance as (

    select * from {{ ref('product_performance') }}

)

select
    product_id,
    name as product_name,
    department,
    price,
    stock_count,
    units_sold_28d,
    is_slow_seller as sells_badly,
    open_offer_count
from performance
where is_newest
