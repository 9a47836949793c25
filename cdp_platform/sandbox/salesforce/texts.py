"""The words of the organization's page in its two languages."""

from collections.abc import Mapping
from typing import Final

from cdp_platform.sandbox.frame import LANGUAGES

_ENGLISH: Final = {
    "title": "Sandbox Salesforce",
    "notice": "A local stand-in for Salesforce. The records in it are fictional; nothing here leaves this computer.",
    "objects": "Objects",
    "Account": "Accounts",
    "Contact": "Contacts",
    "Opportunity": "Opportunities",
    "jobs": "Bulk jobs",
    "job": "Job",
    "object": "Object",
    "operation": "Operation",
    "state": "State",
    "rows": "Rows done",
    "created": "Created",
    "none": "Nothing is here yet. Run a sync first.",
    "shown": "{total} in all",
    "previous": "Previous",
    "next": "Next",
    "Name": "Name",
    "FirstName": "First name",
    "LastName": "Last name",
    "Email": "E-mail",
    "AccountId": "Account",
    "Tier__c": "Tier",
    "Industry": "Industry",
    "Customer_Since__c": "Customer since",
    "NumberOfEmployees": "Employees",
    "Lifetime_Value__c": "Lifetime value",
    "StageName": "Stage",
    "CloseDate": "Closes on",
    "Amount": "Amount",
    "CDP_Id__c": "CDP id",
    "CDP_Person_Id__c": "CDP person id",
    "CDP_Deal_Id__c": "CDP deal id",
}
_CHINESE: Final = {
    "title": "沙盒 Salesforce",
    "notice": "這是 Salesforce 的本機替身。裡面的紀錄都是虛構的，不會離開這台電腦。",
    "objects": "物件",
    "Account": "客戶",
    "Contact": "聯絡人",
    "Opportunity": "商機",
    "jobs": "大量作業",
    "job": "作業",
    "object": "物件",
    "operation": "操作",
    "state": "狀態",
    "rows": "已處理列數",
    "created": "建立時間",
    "none": "目前沒有資料。請先執行一次同步。",
    "shown": "共 {total} 筆",
    "previous": "上一頁",
    "next": "下一頁",
    "Name": "名稱",
    "FirstName": "名字",
    "LastName": "姓氏",
    "Email": "電子郵件",
    "AccountId": "客戶",
    "Tier__c": "等級",
    "Industry": "產業",
    "Customer_Since__c": "成為客戶日期",
    "NumberOfEmployees": "員工人數",
    "Lifetime_Value__c": "終身價值",
    "StageName": "階段",
    "CloseDate": "結案日期",
    "Amount": "金額",
    "CDP_Id__c": "CDP 識別碼",
    "CDP_Person_Id__c": "CDP 人員識別碼",
    "CDP_Deal_Id__c": "CDP 商機識別碼",
}


class Texts:
    """The words in one language; English where the language is not known."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._texts: Mapping[str, str] = _CHINESE if self.language == "zh-Hant" else _ENGLISH

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def label(self, field: str) -> str:
        """Return what people call a field."""
        return self._texts.get(field, field)
