with source as (

    select * from {{ source('raw_retail', 'coupon_redemptions') }}

)

select
    household_id,
    coupon_upc,
    campaign_id,
    redemption_day as redeemed_on
from source
