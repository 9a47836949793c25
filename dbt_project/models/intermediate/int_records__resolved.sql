with clusters as (

    select * from {{ ref('stg_identity__clusters') }}

)

select
    record_key,
    person_id,
    person_since
from clusters
