{{ config(materialized='table') }}

with traits as (

    select * from {{ ref('traits_rfm') }}

),

profiles as (

    select * from {{ ref('profiles') }}

)

select
    traits.person_id,
    traits.orders_180d_to_last,
    traits.order_count,
    traits.last_order_on,
    traits.days_since_last_order,
    profiles.email_permission,
    traits.as_of_on
from traits
inner join profiles on traits.person_id = profiles.person_id
where
    traits.orders_180d_to_last >= 12
    and traits.days_since_last_order >= 28
    and profiles.email_permission = 'granted'
