{#- Which record's value a person's profile shows: the rules stand in dbt_project.yml under `vars: survivorship`. -#}

{% macro survivorship_rules() -%}
    {%- set rules = var('survivorship') -%}
    {%- for field, rule in rules.items() -%}
        {%- if rule.get('rule') not in ['most_recent', 'most_frequent', 'source_priority'] -%}
            {{ exceptions.raise_compiler_error(
                "vars.survivorship." ~ field ~ ": there is no rule " ~ rule.get('rule')
                ~ "; write most_recent, most_frequent or source_priority."
            ) }}
        {%- endif -%}
        {%- for source in rule.get('sources', []) if source not in record_sources() -%}
            {{ exceptions.raise_compiler_error(
                "vars.survivorship." ~ field ~ ": there is no source " ~ source ~ "; there are "
                ~ record_sources() | join(', ') ~ "."
            ) }}
        {%- endfor -%}
        {%- if rule['rule'] == 'source_priority' and not rule.get('sources') -%}
            {{ exceptions.raise_compiler_error("vars.survivorship." ~ field ~ ": source_priority needs its sources.") }}
        {%- endif -%}
        {%- if rule['rule'] != 'source_priority' and rule.get('sources') -%}
            {{ exceptions.raise_compiler_error(
                "vars.survivorship." ~ field ~ ": sources count with source_priority only."
            ) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(rules) }}
{%- endmacro %}

{#- Candidates of one field; `relation` has person_id, source, seen_at, record_key and the field's column. What a rule
    looks at first stands in `strength`, the smallest the strongest; a source that is not named comes last. -#}
{% macro survivorship_candidates(relation, field, rule) -%}
    select
        person_id,
        '{{ field }}' as field,
        {{ rule.get('column', field) }} as value,
        source,
        seen_at,
        record_key,
        '{{ rule['rule'] }}' as rule,
        {%- if rule['rule'] == 'source_priority' %}
        case source
            {%- for source in rule['sources'] %} when '{{ source }}' then {{ loop.index }}{% endfor %} else 99
        end as strength
        {%- elif rule['rule'] == 'most_frequent' %}
        -count(*) over (partition by person_id, lower({{ rule.get('column', field) }})) as strength
        {%- else %}
        0 as strength
        {%- endif %}
    from {{ relation }}
    where {{ rule.get('column', field) }} is not null and {{ rule.get('column', field) }} <> ''
{%- endmacro %}
