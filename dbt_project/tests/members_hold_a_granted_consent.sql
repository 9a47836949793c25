{{ config(tags=['person']) }}

with contacts as (

    select * from {{ ref('sync_contacts__crm') }}

),

profiles as (

    select * from {{ ref('profiles') }}

),

consents as (

    select * from {{ ref('consents') }}

),

suppressions as (

    select * from {{ ref('suppressions') }}

)

select contacts.person_id
from contacts
inner join profiles on contacts.person_id = profiles.person_id
left join consents
    on profiles.email = consents.identifier and profiles.entity = consents.entity and consents.status in ('granted', 'confirmed')
left join suppressions on profiles.email = suppressions.identifier
where
    (consents.identifier is null or suppressions.identifier is not null)
    and (
        contacts.lapsed_loyalist
        or contacts.high_value_at_risk
        or contacts.coupon_lover
        or contacts.new_department_explorer
        or contacts.big_basket_family
    )
