{{ config(materialized='table') }}

with people as (

    select * from {{ ref('stg_retail__people') }}

),

cards as (

    select * from {{ ref('stg_loyalty__cards') }}

),

tickets as (

    select * from {{ ref('stg_support__tickets') }}

),

-- A browser with nobody logged in has nothing to compare: it becomes a record with each customer who logs in.
logins as (

    select
        anonymous_id,
        customer_number,
        min(occurred_at) as seen_at,
        min(event_day) as seen_on
    from {{ ref('stg_web__events') }}
    where customer_number is not null
    group by anonymous_id, customer_number

),

records as (

    {{ identity_records_of('retail', 'people', 'customer_number', {
        'seen_at': 'first_seen_at', 'seen_on': 'first_seen_on', 'customer_number': 'customer_number',
        'email': 'email', 'phone': 'phone', 'given_name': 'first_name', 'surname': 'last_name',
        'full_name': dbt.concat(["first_name", "' '", "last_name"])
    }) }}

    union all

    {{ identity_records_of('loyalty', 'cards', 'card_number', {
        'seen_at': 'issued_on', 'seen_on': 'issued_on', 'customer_number': 'customer_number',
        'card_number': 'card_number', 'email': 'email', 'phone': 'phone', 'given_name': 'first_name',
        'surname': 'last_name', 'full_name': dbt.concat(["first_name", "' '", "last_name"]),
        'birth_date': 'birth_date', 'postcode': 'postal_code'
    }) }}

    union all

    {{ identity_records_of('support', 'tickets', 'ticket_id', {
        'seen_at': 'opened_at', 'seen_on': 'opened_on', 'customer_number': 'customer_number',
        'other_customer_number': 'other_customer_number', 'email': 'email', 'phone': 'phone', 'full_name': 'name'
    }) }}

    union all

    {{ identity_records_of('web', 'logins', dbt.concat(["anonymous_id", "'|'", "customer_number"]), {
        'seen_at': 'seen_at', 'seen_on': 'seen_on', 'customer_number': 'customer_number',
        'anonymous_id': 'anonymous_id'
    }) }}

)

select
    record_key,
    source,
    seen_at,
    seen_on,
    customer_number,
    other_customer_number,
    card_number,
    anonymous_id,
    email,
    phone,
    given_name,
    surname,
    full_name,
    birth_date,
    postcode
from records
