with redemptions as (

    select * from {{ ref('stg_retail__coupon_redemptions') }}

),

clock as (

    select * from {{ ref('loop_clock') }}

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

),

profiles as (

    select * from {{ ref('profiles') }}

),

-- An ad platform takes no older events: what was not sent within these days is not sent any more.
recent as (

    select
        redemptions.*,
        {{ customer_number('redemptions.household_id') }} as customer_number
    from redemptions
    cross join clock
    where
        redemptions.redeemed_on <= clock.as_of_on
        and redemptions.redeemed_on > {{ days_before('clock.as_of_on', 7) }}

)

select
    -- Of the receipt's own words, so that it stays the same when two people turn out to be one.
    {{ dbt.concat(["'redemption-'", dbt.hash(dbt.concat([
        "recent.customer_number", "'|'", "cast(recent.coupon_upc as " ~ dbt.type_string() ~ ")", "'|'",
        "cast(recent.campaign_id as " ~ dbt.type_string() ~ ")", "'|'",
        "cast(recent.redeemed_on as " ~ dbt.type_string() ~ ")"
    ]))]) }} as event_id,
    'CouponRedeemed' as event_name,
    -- The till told the day alone: noon in New York, in winter time.
    {{ dbt.dateadd('hour', 17, 'cast(recent.redeemed_on as timestamp)') }} as happened_at,
    'physical_store' as action_source,
    profiles.person_id,
    profiles.email,
    profiles.phone
from recent
inner join customers on recent.customer_number = customers.customer_number
inner join profiles on customers.person_id = profiles.person_id
