"""The words of the web page in its two languages. The sandbox keeps its own, to stay independent of the rest."""

from collections.abc import Mapping

from cdp_platform.sandbox.frame import LANGUAGES

_ENGLISH = {
    "title": "Sandbox CRM",
    "notice": "A local stand-in for a CRM. The people in it are fictional; nothing here leaves this computer.",
    "contacts": "Contacts",
    "lapsed_loyalists": "Members of lapsed_loyalist",
    "opted_out": "Opted out",
    "day": "Business day",
    "no_day": "not set",
    "search": "Search",
    "search_hint": "Name, e-mail or person id",
    "filter": "Filter",
    "all": "All",
    "lapsed": "Lapsed loyalists",
    "changed_email": "Changed e-mail",
    "name": "Name",
    "status": "Status",
    "lapsed_one": "Lapsed loyalist",
    "segment": "Segment",
    "value": "Lifetime value",
    "last_order": "Last order",
    "none": "No contact fits. Take away the filter or the search, or run a sync first.",
    "shown": "{first} to {last} of {total}",
    "previous": "Previous",
    "next": "Next",
    "back": "All contacts",
    "identity": "Identity",
    "permission_group": "Permission",
    "marketing": "Marketing",
    "other": "Other properties",
    "history": "History",
    "no_history": "Nothing has happened yet.",
    "by_api": "by the sync",
    "by_person": "by the person",
    "create": "Created",
    "update": "Changed",
    "archive": "Archived",
    "on_day": "business day {day}",
    "nameless": "No name",
    "not_found": "There is no such contact.",
    "true": "Yes",
    "false": "No",
    "granted": "Granted",
    "withdrawn": "Withdrawn",
    "kinds": "Kinds of records",
    "companies": "Companies",
    "deals": "Deals",
    "products": "Products",
    "properties": "Properties",
    "associations": "Associated records",
    "no_associations": "Nothing is associated with it.",
    "none_records": "There are none yet. Run a sync first.",
    "not_found_record": "There is no such record.",
}

_TRADITIONAL_CHINESE = {
    "title": "沙盒 CRM",
    "notice": "這是本機的 CRM 替身。裡面的人物皆為虛構，資料不會離開這台電腦。",
    "contacts": "聯絡人",
    "lapsed_loyalists": "lapsed_loyalist 成員",
    "opted_out": "已退訂",
    "day": "營業日",
    "no_day": "尚未設定",
    "search": "搜尋",
    "search_hint": "姓名、電子郵件或人員編號",
    "filter": "篩選",
    "all": "全部",
    "lapsed": "流失的忠實顧客",
    "changed_email": "已更換電子郵件",
    "name": "姓名",
    "status": "狀態",
    "lapsed_one": "流失的忠實顧客",
    "segment": "分群",
    "value": "終身價值",
    "last_order": "最近訂單",
    "none": "沒有符合的聯絡人。請清除篩選或搜尋，或先執行一次同步。",
    "shown": "第 {first} 至 {last} 筆，共 {total} 筆",
    "previous": "上一頁",
    "next": "下一頁",
    "back": "所有聯絡人",
    "identity": "身分",
    "permission_group": "許可",
    "marketing": "行銷",
    "other": "其他屬性",
    "history": "歷程",
    "no_history": "尚無任何紀錄。",
    "by_api": "由同步寫入",
    "by_person": "由本人變更",
    "create": "建立",
    "update": "變更",
    "archive": "封存",
    "on_day": "營業日 {day}",
    "nameless": "沒有姓名",
    "not_found": "找不到這位聯絡人。",
    "true": "是",
    "false": "否",
    "granted": "已同意",
    "withdrawn": "已撤回",
    "kinds": "紀錄種類",
    "companies": "公司",
    "deals": "交易",
    "products": "商品",
    "properties": "屬性",
    "associations": "關聯的紀錄",
    "no_associations": "沒有任何關聯。",
    "none_records": "目前沒有紀錄，請先執行一次同步。",
    "not_found_record": "找不到這筆紀錄。",
    "property.email": "電子郵件",
    "property.firstname": "名",
    "property.lastname": "姓",
    "property.phone": "電話",
    "property.hs_email_optout": "已退訂所有電子郵件",
    "property.createdate": "建立時間",
    "property.lastmodifieddate": "最後修改時間",
    "property.hs_object_id": "紀錄編號",
    "property.cdp_person_id": "人員編號",
    "property.email_permission": "電子郵件許可",
    "property.email_permission_changed_on": "許可變更日",
    "property.email_confirmed_on": "電子郵件確認日",
    "property.lapsed_loyalist": "流失的忠實顧客",
    "property.lapsed_loyalist_since": "流失起始日",
    "property.high_value_at_risk": "流失風險中的高價值顧客",
    "property.coupon_lover": "折價券愛好者",
    "property.new_department_explorer": "嘗試新部門的顧客",
    "property.big_basket_family": "大量採買的家庭",
    "property.rfm_segment": "RFM 分群",
    "property.lifetime_value": "終身價值",
    "property.last_order_on": "最近訂單日",
    "property.favourite_department": "最愛部門",
}

_TEXTS: Mapping[str, Mapping[str, str]] = {"en": _ENGLISH, "zh-Hant": _TRADITIONAL_CHINESE}


class Texts:
    """The texts of one language; an unknown language is English."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._texts = _TEXTS[self.language]

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def property_label(self, name: str, label: str) -> str:
        """Return a property's label; the account's own one where this language has none."""
        return self._texts.get(f"property.{name}", label)

    def value(self, value: str) -> str:
        """Return a coded value in words; other values as they are."""
        return self._texts[value] if value in ("true", "false", "granted", "withdrawn") else value
