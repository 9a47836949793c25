{{ config(tags=['person']) }}

with members as (

    select * from {{ ref('lapsed_loyalists') }}

),

profiles as (

    select * from {{ ref('profiles') }}

),

consents as (

    select * from {{ ref('consents') }}

),

suppressions as (

    select * from {{ ref('suppressions') }}

)

select members.person_id
from members
inner join profiles on members.person_id = profiles.person_id
left join consents
    on profiles.email = consents.identifier and profiles.entity = consents.entity and consents.status in ('granted', 'confirmed')
left join suppressions on profiles.email = suppressions.identifier
where consents.identifier is null or suppressions.identifier is not null
