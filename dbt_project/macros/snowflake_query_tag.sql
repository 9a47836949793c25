{#- Each node's statements are tagged with the run that builds it. It cannot stand in the profile: dbt would parse the whole
    project anew for every run. A dbt project of your own may copy this, and `query-comment` in `dbt_project.yml`. -#}
{% macro snowflake__set_query_tag() %}
    {%- set work = fromjson(env_var('CDP_DBT_WORK', '{}')) -%}
    {%- if work -%}
        {%- set tag = tojson(dict({'application': 'cdp', 'purpose': 'dbt', 'node': model.unique_id}, **work)) -%}
        {%- do run_query("alter session set query_tag = '" ~ (tag | replace("\\", "\\\\") | replace("'", "''")) ~ "'") -%}
    {%- endif -%}
    {{ return(none) }}
{% endmacro %}
