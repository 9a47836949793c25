{%- set fields = survivorship_rules().keys() | list -%}

with fields as (

    select * from {{ ref('profile_fields') }}

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
    from {{ ref('person_orders') }} as orders
    inner join clock on orders.order_day <= clock.as_of_on
    where orders.is_purchase
    group by orders.person_id

),

surviving as (

    select
        person_id,
        {%- for field in fields %}
        max(case when field = '{{ field }}' then value end) as {{ field }},
        {%- endfor %}
        max(case when field = 'email' then source end) as email_source
    from fields
    group by person_id

),

records as (

    select
        person_id,
        count(*) as record_count
    from {{ ref('int_records__resolved') }}
    group by person_id

)

select
    surviving.person_id,
    clock.entity,
    {%- for field in fields %}
    surviving.{{ field }},
    {%- endfor %}
    surviving.email_source,
    cast(records.record_count as {{ dbt.type_int() }}) as record_count,
    first_orders.first_order_on,
    case when surviving.email_source = 'crm' then contacts.email_confirmed_on end as email_changed_on,
    case
        when suppressions.identifier is not null or consents.status = 'withdrawn' then 'withdrawn'
        when consents.status is not null then 'granted'
    end as email_permission,
    coalesce(suppressions.suppressed_on, consents.changed_on) as email_permission_changed_on,
    clock.as_of_on
from surviving
inner join first_orders on surviving.person_id = first_orders.person_id
inner join records on surviving.person_id = records.person_id
cross join clock
left join contacts on surviving.person_id = contacts.person_id
left join consents on surviving.email = consents.identifier
left join suppressions on surviving.email = suppressions.identifier
