with source as (

    select * from {{ source('raw_loyalty', 'cards') }}

)

select
    card_number,
    customer_number,
    first_name,
    last_name,
    email,
    phone,
    birth_date,
    postal_code,
    store_id,
    issued_on
from source
