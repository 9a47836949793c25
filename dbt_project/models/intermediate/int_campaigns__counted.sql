with campaigns as (

    select * from {{ ref('stg_retail__campaigns') }}

),

exposures as (

    select
        campaign_id,
        count(*) as exposed_household_count
    from {{ ref('stg_retail__campaign_exposures') }}
    group by campaign_id

),

coupons as (

    select
        campaign_id,
        count(distinct coupon_upc) as coupon_count,
        count(distinct product_id) as product_count
    from {{ ref('stg_retail__coupons') }}
    group by campaign_id

)

select
    campaigns.campaign_id,
    campaigns.campaign_type,
    campaigns.started_on,
    campaigns.ended_on,
    coalesce(exposures.exposed_household_count, 0) as exposed_household_count,
    coalesce(coupons.coupon_count, 0) as coupon_count,
    coalesce(coupons.product_count, 0) as product_count
from campaigns
left join exposures on campaigns.campaign_id = exposures.campaign_id
left join coupons on campaigns.campaign_id = coupons.campaign_id
