{{ config(
    materialized='incremental',
    incremental_strategy='replace_clock_day',
    event_time='changed_on',
    full_refresh=false,
    on_schema_change='fail'
) }}

with clock as (

    select * from {{ ref('loop_clock') }}

),

members as (

    select * from {{ ref('audience_members_daily') }}

),

traits as (

    select * from {{ ref('traits_rfm') }}

),

profiles as (

    select * from {{ ref('profiles') }}

),

-- No row here on the first snapshot: its members are the baseline, nobody has entered yet.
compared as (

    select
        snapshots.audience,
        clock.as_of_on as today_on,
        max(snapshots.as_of_on) as previous_on
    from {{ ref('audience_snapshots') }} as snapshots
    inner join clock on snapshots.as_of_on < clock.as_of_on
    group by snapshots.audience, clock.as_of_on

),

entered as (

    select
        compared.audience,
        members.person_id,
        compared.today_on as changed_on,
        'entered' as change,
        case
            when members.days_since_last_order - {{ days_between('compared.previous_on', 'compared.today_on') }} < 28
                then 'days_without_visit_reached'
            else 'permission_granted'
        end as reason
    from members
    inner join compared on members.audience = compared.audience and members.as_of_on = compared.today_on
    left join members as before
        on
            members.audience = before.audience
            and members.person_id = before.person_id
            and compared.previous_on = before.as_of_on
    where before.person_id is null

),

departed as (

    select
        compared.audience,
        before.person_id,
        compared.today_on as changed_on,
        'left' as change,
        case
            when profiles.email_permission = 'withdrawn' then 'permission_withdrawn'
            when profiles.email_permission is null then 'address_not_permitted'
            when traits.last_order_on > before.last_order_on then 'visited_again'
            else 'no_longer_loyal'
        end as reason
    from members as before
    inner join compared on before.audience = compared.audience and before.as_of_on = compared.previous_on
    left join members
        on
            before.audience = members.audience
            and before.person_id = members.person_id
            and compared.today_on = members.as_of_on
    left join traits on before.person_id = traits.person_id
    left join profiles on before.person_id = profiles.person_id
    where members.person_id is null

),

changes as (

    select audience, person_id, changed_on, change, reason from entered
    union all
    select audience, person_id, changed_on, change, reason from departed

)

select
    {{ dbt.concat(["changes.audience", "'|'", "cast(changes.changed_on as " ~ dbt.type_string() ~ ")", "'|'", "changes.person_id"]) }}
        as audience_membership_change_id,
    changes.audience,
    changes.person_id,
    changes.changed_on,
    changes.change,
    changes.reason,
    traits.last_order_on,
    traits.days_since_last_order
from changes
left join traits on changes.person_id = traits.person_id
