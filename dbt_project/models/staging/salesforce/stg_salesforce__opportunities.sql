with source as (

    select * from {{ source_or_empty('raw_salesforce', 'opportunities', {
        'opportunity_id': dbt.type_string(),
        'account_id': dbt.type_string(),
        'name': dbt.type_string(),
        'stage': dbt.type_string(),
        'amount': dbt.type_numeric(),
        'closes_on': 'date',
        'is_deleted': dbt.type_boolean(),
        'modified_at': type_instant(),
        'modified_on': 'date'
    }) }} as opportunities

)

select
    {{ dbt.concat(["opportunity_id", "'-'", "cast(modified_on as " ~ dbt.type_string() ~ ")"]) }} as opportunity_day_id,
    opportunity_id,
    modified_on,
    modified_at,
    account_id,
    name,
    stage,
    {{ money('amount') }} as amount,
    closes_on,
    is_deleted,
    not is_deleted and stage not in ('Closed Won', 'Closed Lost') as is_open
from source
