with source as (

    select * from {{ platform_source('identity', 'identity_clusters') }}

)

select
    record_key,
    person_id,
    person_since,
    resolved_at
from source
