with source as (

    select * from {{ platform_source('identity', 'identity_person_ids') }}

)

select
    person_id,
    present_person_id,
    person_id = present_person_id as is_present
from source
