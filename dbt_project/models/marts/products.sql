with classified as (

    select * from {{ ref('int_products__classified') }}

)

select
    product_id,
    manufacturer_id,
    department,
    brand_kind,
    product_category,
    product_type,
    package_size,
    is_fuel,
    campaign_count
from classified
