with source as (

    select * from {{ source('raw_retail', 'coupons') }}

)

-- The source repeats some rows; one row says the same.
select distinct
    coupon_upc,
    product_id,
    campaign_id
from source
