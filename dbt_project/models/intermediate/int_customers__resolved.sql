{{ config(materialized='table') }}

with people as (

    select * from {{ ref('stg_retail__people') }}

),

clusters as (

    select * from {{ ref('stg_identity__clusters') }}

)

select
    people.customer_number,
    clusters.person_id
from people
inner join clusters on {{ record_key('retail', 'people.customer_number') }} = clusters.record_key
