with profiles as (

    select * from {{ ref('profiles') }}

),

traits as (

    select * from {{ ref('traits_rfm') }}

),

lapsed_loyalists as (

    select person_id from {{ platform_source('audiences', 'lapsed_loyalists') }}

),

-- The last change: the day of leaving where somebody left, else the day of entering.
lapsed_loyalist_changes as (

    select
        person_id,
        max(coalesce(left_on, entered_on)) as changed_on
    from {{ platform_source('audiences', 'audience_membership_history') }}
    where audience = 'lapsed_loyalists'
    group by person_id

),

high_value_at_risk as (

    select person_id from {{ platform_source('audiences', 'high_value_at_risk') }}

),

coupon_lovers as (

    select person_id from {{ platform_source('audiences', 'coupon_lovers') }}

),

new_department_explorers as (

    select person_id from {{ platform_source('audiences', 'new_department_explorers') }}

),

big_basket_families as (

    select person_id from {{ platform_source('audiences', 'big_basket_families') }}

)

select
    profiles.person_id,
    profiles.email,
    profiles.first_name,
    profiles.last_name,
    profiles.phone,
    profiles.email_permission,
    profiles.email_permission_changed_on,
    lapsed_loyalists.person_id is not null as lapsed_loyalist,
    lapsed_loyalist_changes.changed_on as lapsed_loyalist_since,
    high_value_at_risk.person_id is not null as high_value_at_risk,
    coupon_lovers.person_id is not null as coupon_lover,
    new_department_explorers.person_id is not null as new_department_explorer,
    big_basket_families.person_id is not null as big_basket_family,
    traits.rfm_segment,
    traits.lifetime_value,
    traits.last_order_on,
    traits.favourite_department
from profiles
inner join traits on profiles.person_id = traits.person_id
left join lapsed_loyalists on profiles.person_id = lapsed_loyalists.person_id
left join lapsed_loyalist_changes on profiles.person_id = lapsed_loyalist_changes.person_id
left join high_value_at_risk on profiles.person_id = high_value_at_risk.person_id
left join coupon_lovers on profiles.person_id = coupon_lovers.person_id
left join new_department_explorers on profiles.person_id = new_department_explorers.person_id
left join big_basket_families on profiles.person_id = big_basket_families.person_id
