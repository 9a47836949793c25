{{ config(
    materialized='incremental',
    incremental_strategy='replace_clock_day',
    event_time='as_of_on',
    full_refresh=false,
    on_schema_change='fail'
) }}

with clock as (

    select * from {{ ref('loop_clock') }}

),

members as (

    select * from {{ ref('lapsed_loyalists') }}

)

select
    {{ dbt.concat(["'lapsed_loyalists|'", "cast(clock.as_of_on as " ~ dbt.type_string() ~ ")", "'|'", "members.person_id"]) }}
        as audience_member_day_id,
    'lapsed_loyalists' as audience,
    members.person_id,
    clock.as_of_on,
    members.last_order_on,
    members.days_since_last_order
from members
inner join clock on members.as_of_on = clock.as_of_on
