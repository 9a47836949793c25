with source as (

    select * from {{ source_or_empty('cdp', 'deliveries', {
        'ledger_id': dbt.type_string(),
        'version': dbt.type_bigint(),
        'sync': dbt.type_string(),
        'primary_key': dbt.type_string(),
        'operation': dbt.type_string(),
        'delivered_on': 'date'
    }, is_platforms=true) }} as deliveries

)

select
    {{ dbt.concat(["ledger_id", "'-'", "cast(version as " ~ dbt.type_string() ~ ")", "'-'", "primary_key"]) }} as delivery_id,
    sync,
    primary_key as row_key,
    operation,
    delivered_on
from source
