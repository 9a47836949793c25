with source as (

    select * from {{ source('raw_support', 'tickets') }}

)

select
    ticket_id,
    opened_at,
    {{ local_day('opened_at', 'America/New_York') }} as opened_on,
    name,
    email,
    phone,
    customer_number,
    other_customer_number,
    topic
from source
