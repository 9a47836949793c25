with clock as (

    select * from {{ ref('stg_loop__clock') }}

),

listed as (

    select entries.*
    from {{ ref('stg_do_not_contact__entries') }} as entries
    inner join clock on entries.listed_on <= clock.as_of_on

)

select
    identifier,
    'email' as identifier_type,
    channel,
    entity,
    reason,
    'do_not_contact_list' as source,
    listed_on as suppressed_on
from listed
