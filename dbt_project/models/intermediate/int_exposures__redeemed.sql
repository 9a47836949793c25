with exposures as (

    select * from {{ ref('stg_retail__campaign_exposures') }}

),

campaigns as (

    select * from {{ ref('stg_retail__campaigns') }}

),

clock as (

    select * from {{ ref('stg_loop__clock') }}

),

redemptions as (

    select
        redemptions.campaign_id,
        redemptions.household_id,
        count(*) as redemption_count,
        max(redemptions.redeemed_on) as last_redeemed_on
    from {{ ref('stg_retail__coupon_redemptions') }} as redemptions
    inner join clock on redemptions.redeemed_on <= clock.as_of_on
    group by redemptions.campaign_id, redemptions.household_id

)

select
    exposures.campaign_exposure_id,
    exposures.campaign_id,
    {{ customer_number('exposures.household_id') }} as customer_number,
    coalesce(redemptions.redemption_count, 0) as redemption_count,
    redemptions.last_redeemed_on
from exposures
inner join campaigns on exposures.campaign_id = campaigns.campaign_id
inner join clock on campaigns.started_on <= clock.as_of_on
left join redemptions
    on exposures.campaign_id = redemptions.campaign_id and exposures.household_id = redemptions.household_id
