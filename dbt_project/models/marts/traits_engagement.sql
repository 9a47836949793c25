with profiles as (

    select * from {{ ref('profiles') }}

),

contacts as (

    select * from {{ ref('int_contacts__summarised') }}

),

exposures as (

    select
        customers.person_id,
        count(*) as campaigns_received,
        sum(redeemed.redemption_count) as coupons_redeemed,
        max(redeemed.last_redeemed_on) as last_coupon_redeemed_on
    from {{ ref('int_exposures__redeemed') }} as redeemed
    inner join {{ ref('int_customers__resolved') }} as customers
        on redeemed.customer_number = customers.customer_number
    group by customers.person_id

),

-- The last 28 days, the clock's day the last of them.
web as (

    select
        sessions.person_id,
        max(sessions.session_day) as last_web_visit_on,
        sum(case when sessions.session_day > {{ days_before('clock.as_of_on', 28) }} then 1 else 0 end)
            as web_visits_28d,
        sum(
            case when sessions.session_day > {{ days_before('clock.as_of_on', 28) }}
                then sessions.product_view_count else 0 end
        ) as web_product_views_28d
    from {{ ref('sessions') }} as sessions
    cross join {{ ref('loop_clock') }} as clock
    where sessions.person_id is not null
    group by sessions.person_id

)

select
    profiles.person_id,
    coalesce(contacts.is_in_newest_read_back, false) as in_crm,
    contacts.first_seen_on as first_seen_in_crm_on,
    contacts.last_seen_on as last_seen_in_crm_on,
    contacts.opted_out_on,
    profiles.email_changed_on,
    coalesce(exposures.campaigns_received, 0) as campaigns_received,
    cast(coalesce(exposures.coupons_redeemed, 0) as {{ dbt.type_int() }}) as coupons_redeemed,
    exposures.last_coupon_redeemed_on,
    web.last_web_visit_on,
    cast(coalesce(web.web_visits_28d, 0) as {{ dbt.type_int() }}) as web_visits_28d,
    cast(coalesce(web.web_product_views_28d, 0) as {{ dbt.type_int() }}) as web_product_views_28d,
    profiles.as_of_on
from profiles
left join contacts on profiles.person_id = contacts.person_id
left join exposures on profiles.person_id = exposures.person_id
left join web on profiles.person_id = web.person_id
