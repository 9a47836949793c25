{{ config(tags=['person']) }}

with profiles as (

    select person_id from {{ ref('profiles') }}

),

contacts as (

    select person_id from {{ ref('sync_contacts__crm') }}

)

select profiles.person_id
from profiles
full join contacts on profiles.person_id = contacts.person_id
where profiles.person_id is null or contacts.person_id is null
