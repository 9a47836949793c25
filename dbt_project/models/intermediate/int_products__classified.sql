with products as (

    select * from {{ ref('stg_retail__products') }}

),

coupons as (

    select * from {{ ref('stg_retail__coupons') }}

),

promoted as (

    select
        product_id,
        count(distinct campaign_id) as campaign_count
    from coupons
    group by product_id

)

select
    products.product_id,
    products.manufacturer_id,
    products.department,
    products.brand_kind,
    products.product_category,
    products.product_type,
    products.package_size,
    products.is_fuel,
    coalesce(promoted.campaign_count, 0) as campaign_count
from products
left join promoted on products.product_id = promoted.product_id
