with items as (

    select * from {{ ref('stg_zoho__items') }}

),

clock as (

    select * from {{ ref('stg_loop__clock') }}

)

select
    items.item_day_id,
    items.sku,
    items.stock_on,
    items.name,
    items.department,
    items.price,
    items.stock_count,
    items.stock_on = max(items.stock_on) over () as is_newest,
    clock.as_of_on
from items
cross join clock
where items.is_active and items.sku is not null and items.stock_on <= clock.as_of_on
