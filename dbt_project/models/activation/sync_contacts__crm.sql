with profiles as (

    select * from {{ ref('profiles') }}

),

traits as (

    select * from {{ ref('traits_rfm') }}

),

members as (

    select * from {{ ref('lapsed_loyalists') }}

),

-- Changes after the clock belong to a later day that is not described here.
last_changes as (

    select
        changes.person_id,
        max(changes.changed_on) as changed_on
    from {{ ref('audience_membership_changes') }} as changes
    inner join profiles on changes.person_id = profiles.person_id and changes.changed_on <= profiles.as_of_on
    where changes.audience = 'lapsed_loyalists'
    group by changes.person_id

),

baseline as (

    select min(as_of_on) as snapshots_began_on
    from {{ ref('audience_snapshots') }}
    where audience = 'lapsed_loyalists'

)

select
    profiles.person_id,
    profiles.email,
    profiles.first_name,
    profiles.last_name,
    profiles.phone,
    profiles.email_permission,
    profiles.email_permission_changed_on,
    members.person_id is not null as lapsed_loyalist,
    coalesce(
        last_changes.changed_on,
        case when members.person_id is not null then baseline.snapshots_began_on end
    ) as lapsed_loyalist_since,
    traits.rfm_segment,
    traits.lifetime_value,
    traits.last_order_on,
    traits.favourite_department
from profiles
inner join traits on profiles.person_id = traits.person_id
left join members on profiles.person_id = members.person_id
left join last_changes on profiles.person_id = last_changes.person_id
cross join baseline
