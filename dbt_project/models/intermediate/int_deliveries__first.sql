with deliveries as (

    select deliveries.*
    from {{ ref('stg_loop__deliveries') }} as deliveries
    inner join {{ ref('stg_loop__clock') }} as clock on deliveries.delivered_on <= clock.feedback_until_on
    where deliveries.operation in ('create', 'update')

),

campaigns as (

    select distinct sync from {{ ref('stg_meta__campaign_audiences') }}

),

persons as (

    select * from {{ ref('stg_identity__person_ids') }}

)

select
    {{ dbt.concat(["deliveries.sync", "'-'", "coalesce(persons.present_person_id, deliveries.row_key)"]) }} as first_delivery_id,
    deliveries.sync,
    coalesce(persons.present_person_id, deliveries.row_key) as person_id,
    min(deliveries.delivered_on) as first_sent_on
from deliveries
inner join campaigns on deliveries.sync = campaigns.sync
left join persons on deliveries.row_key = persons.person_id
group by deliveries.sync, coalesce(persons.present_person_id, deliveries.row_key)
