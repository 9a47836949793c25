with people as (

    select * from {{ ref('int_people__described') }}

),

contacts as (

    select * from {{ ref('int_contacts__summarised') }}

),

consents as (

    select * from {{ ref('consents') }}
    where channel = 'email' and purpose = 'email_marketing' and entity = 'retail_us'

),

suppressions as (

    select identifier, min(suppressed_on) as suppressed_on
    from {{ ref('suppressions') }}
    where channel = 'email' and (entity is null or entity = 'retail_us')
    group by identifier

),

clock as (

    select * from {{ ref('loop_clock') }}

),

first_orders as (

    select
        orders.person_id,
        min(orders.order_day) as first_order_on
    from {{ ref('orders') }} as orders
    inner join clock on orders.order_day <= clock.as_of_on
    where orders.is_purchase
    group by orders.person_id

),

addressed as (

    select
        people.*,
        first_orders.first_order_on,
        coalesce(contacts.confirmed_email, people.email) as current_email,
        case when contacts.confirmed_email <> people.email then contacts.email_confirmed_on end as email_changed_on
    from people
    inner join first_orders on people.person_id = first_orders.person_id
    left join contacts on people.person_id = contacts.person_id

)

select
    addressed.person_id,
    clock.entity,
    addressed.household_id,
    addressed.first_name,
    addressed.last_name,
    addressed.current_email as email,
    addressed.phone,
    addressed.age_band,
    addressed.income_band,
    addressed.household_size,
    addressed.household_composition,
    addressed.first_order_on,
    addressed.email_changed_on,
    case
        when suppressions.identifier is not null or consents.status = 'withdrawn' then 'withdrawn'
        when consents.status is not null then 'granted'
    end as email_permission,
    coalesce(suppressions.suppressed_on, consents.changed_on) as email_permission_changed_on,
    clock.as_of_on
from addressed
cross join clock
left join consents on addressed.current_email = consents.identifier
left join suppressions on addressed.current_email = suppressions.identifier
