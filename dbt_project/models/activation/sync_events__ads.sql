with redemptions as (

    select * from {{ ref('person_redemptions') }}

),

clock as (

    select * from {{ ref('loop_clock') }}

),

profiles as (

    select * from {{ ref('profiles') }}

)

select
    -- Of the receipt's own words, so that it stays the same when two people turn out to be one.
    {{ dbt.concat(["'redemption-'", "redemptions.redemption_id"]) }} as event_id,
    'CouponRedeemed' as event_name,
    -- The till told the day alone: noon in New York, in winter time.
    {{ dbt.dateadd('hour', 17, 'cast(redemptions.redeemed_on as timestamp)') }} as happened_at,
    'physical_store' as action_source,
    profiles.person_id,
    profiles.email,
    profiles.phone
from redemptions
cross join clock
inner join profiles on redemptions.person_id = profiles.person_id
where
    redemptions.redeemed_on <= clock.as_of_on
    -- An ad platform takes no older events: what was not sent within these days is not sent any more.
    and redemptions.redeemed_on > {{ days_before('clock.as_of_on', 7) }}
