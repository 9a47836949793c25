with clock as (

    select * from {{ ref('stg_loop__clock') }}

),

person_ids as (

    select * from {{ ref('stg_identity__person_ids') }}

),

-- A contact keeps the id that it was sent with; whoever went up in another person since is that person now.
contacts as (

    select
        contacts.contact_id,
        contacts.feedback_day,
        contacts.email,
        contacts.email_confirmed_on,
        contacts.is_opted_out,
        coalesce(person_ids.present_person_id, contacts.person_id) as person_id
    from {{ ref('stg_hubspot__contacts') }} as contacts
    inner join clock on contacts.feedback_day <= clock.feedback_until_on
    left join person_ids on contacts.person_id = person_ids.person_id
    where contacts.person_id is not null

),

seen as (

    select
        person_id,
        min(feedback_day) as first_seen_on,
        max(feedback_day) as last_seen_on,
        max(case when not is_opted_out then feedback_day end) as last_seen_reachable_on
    from contacts
    group by person_id

),

opted_out as (

    select
        contacts.person_id,
        min(contacts.feedback_day) as opted_out_on
    from contacts
    inner join seen on contacts.person_id = seen.person_id
    where
        contacts.is_opted_out
        and (seen.last_seen_reachable_on is null or contacts.feedback_day > seen.last_seen_reachable_on)
    group by contacts.person_id

),

confirmed as (

    select
        person_id,
        email as confirmed_email,
        email_confirmed_on,
        row_number() over (
            partition by person_id
            order by email_confirmed_on desc, feedback_day desc, contact_id asc
        ) as newest_first
    from contacts
    where email_confirmed_on is not null and email like '%@%'

)

select
    seen.person_id,
    seen.first_seen_on,
    seen.last_seen_on,
    seen.last_seen_on = max(seen.last_seen_on) over () as is_in_newest_read_back,
    opted_out.opted_out_on,
    confirmed.confirmed_email,
    confirmed.email_confirmed_on
from seen
left join opted_out on seen.person_id = opted_out.person_id
left join confirmed on seen.person_id = confirmed.person_id and confirmed.newest_first = 1
