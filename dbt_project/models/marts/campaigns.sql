with counted as (

    select * from {{ ref('int_campaigns__counted') }}

)

select
    campaign_id,
    campaign_type,
    started_on,
    ended_on,
    exposed_household_count,
    coupon_count,
    product_count
from counted
