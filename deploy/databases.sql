-- Run once by the image of PostgreSQL, when its folder is empty.
create database dagster;
create database cdp template template0 encoding 'UTF8' locale 'C';
