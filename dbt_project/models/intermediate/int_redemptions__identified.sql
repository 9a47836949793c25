with redemptions as (

    select * from {{ ref('stg_retail__coupon_redemptions') }}

),

identified as (

    select
        {{ customer_number('household_id') }} as customer_number,
        coupon_upc,
        campaign_id,
        redeemed_on
    from redemptions

)

select
    {{ dbt.hash(dbt.concat([
        "customer_number", "'|'", "cast(coupon_upc as " ~ dbt.type_string() ~ ")", "'|'",
        "cast(campaign_id as " ~ dbt.type_string() ~ ")", "'|'", "cast(redeemed_on as " ~ dbt.type_string() ~ ")"
    ])) }} as redemption_id,
    customer_number,
    coupon_upc,
    campaign_id,
    redeemed_on
from identified
