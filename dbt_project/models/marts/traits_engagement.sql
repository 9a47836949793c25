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
    profiles.as_of_on
from profiles
left join contacts on profiles.person_id = contacts.person_id
left join exposures on profiles.person_id = exposures.person_id
