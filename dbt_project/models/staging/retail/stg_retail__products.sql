with source as (

    select * from {{ source('raw_retail', 'products') }}

)

select
    product_id,
    manufacturer_id,
    coalesce(department, 'UNKNOWN') as department,
    brand as brand_kind,
    product_category,
    product_type,
    package_size,
    {{ is_fuel('department') }} as is_fuel
from source
