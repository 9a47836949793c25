{{ config(materialized='view') }}

with events as (

    select events.*
    from {{ ref('events') }} as events
    inner join {{ ref('loop_clock') }} as clock on events.received_on <= clock.as_of_on

),

customers as (

    select * from {{ ref('int_customers__resolved') }}

),

visitors as (

    select * from {{ ref('visitors') }}
    where person_id is not null

)

select
    events.message_id,
    coalesce(customers.person_id, visitors.person_id) as person_id,
    events.anonymous_id,
    events.customer_number,
    events.event_name,
    events.occurred_at,
    events.event_day,
    events.page_path,
    events.campaign_source,
    events.campaign_medium,
    events.campaign_name,
    events.product_id
from events
left join customers on events.customer_number = customers.customer_number
left join visitors on events.anonymous_id = visitors.anonymous_id
where customers.person_id is not null or visitors.person_id is not null
