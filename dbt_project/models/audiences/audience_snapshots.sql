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

    select count(*) as member_count from {{ ref('lapsed_loyalists') }}

)

select
    {{ dbt.concat(["'lapsed_loyalists|'", "cast(clock.as_of_on as " ~ dbt.type_string() ~ ")"]) }} as audience_snapshot_id,
    'lapsed_loyalists' as audience,
    clock.as_of_on,
    members.member_count
from clock
cross join members
